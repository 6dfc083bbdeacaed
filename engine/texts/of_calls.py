"""What is told of calls of ``/api/v2``: by key English, Chinese, French, Japanese. Data only."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str, str, str]] = {
    "v2.member": (
        "there is no member {field}{near}",
        "没有名为 {field} 的字段{near}",
        "il n'y a pas de membre {field}{near}",
        "メンバー {field} はありません{near}",
    ),
    "v2.parameter": (
        "there is no parameter {field} here{near}",
        "此处没有名为 {field} 的参数{near}",
        "il n'y a pas de paramètre {field} ici{near}",
        "ここにパラメータ {field} はありません{near}",
    ),
    "v2.body": (
        "this call takes no body",
        "此请求不接受请求体",
        "cet appel ne prend pas de corps",
        "この呼び出しは本文を受け付けません",
    ),
    "v2.json": (
        "the body is not the JSON that is expected: {what}",
        "请求体不是所需的 JSON：{what}",
        "le corps n'est pas le JSON attendu : {what}",
        "本文が期待される JSON ではありません: {what}",
    ),
    "v2.media": (
        "a body of the type {what} is not read here; send application/json",
        "不支持的请求体类型 {what}，请发送 application/json",
        "un corps du type {what} n'est pas lu ici ; envoyez application/json",
        "種類 {what} の本文は読めません。application/json を送ってください",
    ),
    "v2.match.none": (
        "send If-Match with the ETag of what you read, so that nobody's change is lost",
        "请在 If-Match 中发送您读取时得到的 ETag，以免覆盖他人的修改",
        "envoyez If-Match avec l'ETag de ce que vous avez lu, pour ne perdre aucune modification",
        "他の変更を失わないよう、読み取ったものの ETag を If-Match で送ってください",
    ),
    "v2.match": (
        "it has changed since you read it: read it again, then change it",
        "自您读取后它已被修改：请重新读取后再修改",
        "cela a changé depuis votre lecture : relisez, puis modifiez",
        "読み取った後に変更されています。もう一度読み取ってから変更してください",
    ),
    "v2.again.other": (
        "this idempotency key was sent with another body",
        "该幂等键已用于另一个请求体",
        "cette clé d'idempotence a été envoyée avec un autre corps",
        "この冪等キーは別の本文で送信されました",
    ),
    "v2.again.unknown": (
        "a call with this idempotency key is under way or was cut short: look what is there, then use another key",
        "使用该幂等键的请求正在进行或已中断：请先查看现状，再换用其他键",
        "un appel avec cette clé d'idempotence est en cours ou fut interrompu : vérifiez, puis prenez une autre clé",
        "この冪等キーの呼び出しは処理中か中断されました。状態を確認してから別のキーを使ってください",
    ),
    "v2.cursor": (
        "this cursor does not belong to this list and order; begin without one",
        "该游标不属于此列表或排序；请不带游标重新开始",
        "ce curseur n'est pas de cette liste ni de cet ordre ; commencez sans lui",
        "このカーソルはこの一覧や並び順のものではありません。カーソルなしで始めてください",
    ),
    "auth.scope": (
        "this access token may read and change nothing",
        "该访问令牌只能读取，不能修改",
        "ce jeton d'accès peut lire et ne rien modifier",
        "このアクセストークンは読み取り専用です",
    ),
    "email.domain": (
        "addresses of this domain can't register here",
        "不允许使用该域名的邮箱注册",
        "les adresses de ce domaine ne sont pas admises",
        "このドメインのアドレスは登録できません",
    ),
    "email.alias": (
        "addresses with + or . before the @ can't register here",
        "不允许使用带 + 或 . 的邮箱别名",
        "les adresses avec + ou . avant @ ne sont pas admises",
        "@ の前に + や . を含むアドレスは登録できません",
    ),
    "email.taken": (
        "this address belongs to somebody already",
        "该邮箱已被使用",
        "cette adresse est déjà utilisée",
        "このアドレスは既に使われています",
    ),
    "mail.code.subject": (
        "{site}: your code",
        "{site}：验证码",
        "{site} : votre code",
        "{site}: 確認コード",
    ),
    "mail.code": (
        "Your code is {code}. It counts for ten minutes. If you did not ask {site} for it, do nothing.",
        "您的验证码是 {code}，十分钟内有效。如果不是您向 {site} 请求的，请忽略本邮件。",
        "Votre code est {code}, valable dix minutes. Si vous ne l'avez pas demandé à {site}, ne faites rien.",
        "確認コードは {code} です。10 分間有効です。{site} に依頼していない場合は何もしないでください。",
    ),
    "mail.taken.subject": (
        "{site}: you are registered already",
        "{site}：您已注册",
        "{site} : vous êtes déjà inscrit",
        "{site}: 既に登録されています",
    ),
    "mail.taken": (
        "Somebody, perhaps you, asked {site} for a code for this address. It belongs to an account already: log in, or"
        " ask for a new password.",
        "有人（也许是您）向 {site} 请求此邮箱的验证码。该邮箱已有账户：请直接登录或重置密码。",
        "Quelqu'un, peut-être vous, a demandé à {site} un code pour cette adresse. Elle a déjà un compte :"
        " connectez-vous, ou demandez un nouveau mot de passe.",
        "誰か（おそらくあなた）が {site} にこのアドレスのコードを依頼しました。既にアカウントがあります。"
        "ログインするか、パスワードを再設定してください。",
    ),
    "mail.reset.subject": (
        "{site}: a new password",
        "{site}：重置密码",
        "{site} : nouveau mot de passe",
        "{site}: パスワードの再設定",
    ),
    "mail.reset": (
        "Choose a new password for {site} within ten minutes: {link} If you did not ask for it, do nothing.",
        "请在十分钟内为 {site} 设置新密码：{link} 如果不是您本人操作，请忽略本邮件。",
        "Choisissez sous dix minutes un nouveau mot de passe pour {site} : {link} Sinon, ne faites rien.",
        "10 分以内に {site} の新しいパスワードを設定してください: {link} 心当たりがなければ何もしないでください。",
    ),
}
