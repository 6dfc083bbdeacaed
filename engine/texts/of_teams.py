"""What is told of teams: by key English, Chinese, French, Japanese. Data only."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str, str, str]] = {
    "team.role": (
        "Your role in this team does not allow that; ask an owner of the team",
        "您在该团队中的角色无权执行此操作，请联系团队所有者",
        "Votre rôle dans cette équipe ne le permet pas ; demandez à un propriétaire",
        "このチームでの権限が足りません。チームのオーナーに依頼してください",
    ),
    "team.off": (
        "The team is switched off; an administrator can let it in again",
        "该团队已被禁用，请联系管理员启用",
        "L'équipe est désactivée ; un administrateur peut la rétablir",
        "チームは無効になっています。管理者が有効に戻せます",
    ),
    "team.taken": (
        "The name is taken: teams and users share their names",
        "名称已被占用：团队与用户共用名称",
        "Ce nom est pris : équipes et utilisateurs partagent leurs noms",
        "この名前は使われています。チームとユーザーの名前は共通です",
    ),
    "team.most": (
        "You own {most} teams, which is the most",
        "您最多可拥有 {most} 个团队",
        "Vous possédez déjà {most} équipes, le maximum",
        "所有できるチームは最大 {most} です",
    ),
    "team.declared": (
        "The document {document} says so; change it there",
        "由文档 {document} 声明，请在文档中修改",
        "Le document {document} le déclare ; modifiez-le là",
        "ドキュメント {document} で宣言されています。そちらで変更してください",
    ),
    "team.money": (
        "The team still has money: move it to a wallet first",
        "团队仍有余额，请先转出",
        "L'équipe a encore de l'argent : déplacez-le d'abord",
        "チームに残高があります。先に移してください",
    ),
    "team.poor": (
        "The balance of {balance} units is not enough",
        "余额不足：当前为 {balance}",
        "Le solde de {balance} unités ne suffit pas",
        "残高 {balance} では足りません",
    ),
    "team.nobody": (
        "There is no such user; write the name as the user signs in with it",
        "没有该用户，请填写其登录用户名",
        "Aucun utilisateur de ce nom ; écrivez-le tel qu'il se connecte",
        "そのユーザーはいません。サインインに使う名前を入力してください",
    ),
    "team.full": (
        "A team has {most} members at most",
        "团队最多 {most} 名成员",
        "Une équipe a {most} membres au plus",
        "チームのメンバーは最大 {most} 人です",
    ),
    "team.member": (
        "The user is in the team or invited already",
        "该用户已在团队中或已被邀请",
        "L'utilisateur est déjà membre ou invité",
        "そのユーザーはすでにメンバーか、招待済みです",
    ),
    "team.last": (
        "A team needs an owner: make somebody else one first",
        "团队至少需要一名所有者，请先指定其他所有者",
        "Une équipe a besoin d'un propriétaire : nommez-en d'abord un autre",
        "チームにはオーナーが必要です。先に別の人をオーナーにしてください",
    ),
    "team.secret": (
        "The secret of a member's key is the member's alone",
        "成员的令牌只有本人可以查看",
        "Le secret d'une clé de membre n'appartient qu'à lui",
        "メンバーのキーは本人だけが見られます",
    ),
    "team.keys": (
        "A member of this team has {most} keys at most",
        "该团队每名成员最多 {most} 个令牌",
        "Un membre de cette équipe a {most} clés au plus",
        "このチームのメンバーのキーは最大 {most} 個です",
    ),
    "team.label": (
        "The team has no {field} {name}; it has: {names}",
        "团队没有 {field} {name}，现有：{names}",
        "L'équipe n'a pas de {field} {name} ; elle a : {names}",
        "チームに {field} {name} はありません。あるもの: {names}",
    ),
    "team.labels": (
        "A team has {most} projects and {most} tags at most",
        "团队最多 {most} 个项目和 {most} 个标签",
        "Une équipe a {most} projets et {most} étiquettes au plus",
        "チームのプロジェクトとタグはそれぞれ最大 {most} です",
    ),
    "team.label.taken": (
        "{name} is there already",
        "{name} 已存在",
        "{name} existe déjà",
        "{name} はすでにあります",
    ),
}
