"""Settings by area: which heading an option stands under, its words, and what else it is searched by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import orjson

from admin.words import LANGUAGES, noted, tongue
from engine import paths

AREAS = (
    ("site", noted("Site"), "box"),
    ("login", noted("Sign-in"), "user"),
    ("money", noted("Money"), "wallet"),
    ("routing", noted("Models and routing"), "chan"),
    ("security", noted("Security and limits"), "lock"),
    ("content", noted("Content"), "file"),
    ("operation", noted("Operation"), "pulse"),
)
SYNONYMS = {
    "dashboard": "数据看板 概览 数据分析 tableau ダッシュボード",
    "playground": "操练场 游乐场 chat 聊天",
    "api keys": "令牌 令牌管理 api 密钥 token tokens jetons トークン",
    "logs": "使用日志 日志 usage",
    "tasks": "任务日志 绘图日志 drawing midjourney",
    "channels": "渠道 渠道管理 canaux チャネル",
    "models and prices": "模型 倍率 ratio 价格 模型管理 分组与模型定价设置",
    "users": "用户管理 用户",
    "redemption codes": "兑换码 兑换码管理",
    "plans": "订阅 套餐 订阅管理 subscriptions forfaits abonnements プラン",
    "notices": "通知 消息 webhook 死信 avis 通知",
    "settings": "系统设置 运营设置 其他设置",
    "wallet": "钱包 钱包管理 充值",
    "teams": "团队 组织 équipes チーム organisation organization",
    "profile": "个人设置 个人资料",
    "documents": "规范文档 spec yaml",
    "releases": "版本",
    "exchanges": "抓取 请求记录 captures échanges キャプチャ",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """An option with its words by language: what it is called, and what it does.

    ``more`` are further words that it is found by: those of New API's two consoles.
    """

    name: str
    area: str
    words: Mapping[str, tuple[str, str]]
    more: str = ""

    @property
    def label(self) -> str:
        """What it is called, in the page's language."""
        return self._words[0]

    @property
    def what(self) -> str:
        """What it does, in the page's language."""
        return self._words[1]

    @property
    def _words(self) -> tuple[str, str]:
        return self.words.get(tongue.get()) or self.words["en"]


@lru_cache(maxsize=1)
def settings() -> tuple[Setting, ...]:
    """All of them, in the order of the pages: ``templates/console/option_words.json``, a line each."""
    table = orjson.loads((paths.CATALOGUE / "option_words.json").read_bytes())
    return tuple(
        Setting(name, row["area"], {code: tuple(row[code]) for code in LANGUAGES}, row.get("more", ""))
        for name, row in table.items()
    )


def search(word: str) -> list[Setting]:
    """Settings that a word finds, in the language of the page, in English, Chinese, or by the option's name."""
    word = word.lower()
    texts = (
        (
            setting,
            " ".join(
                (setting.name, setting.more, setting.label, setting.what, *setting.words["en"], *setting.words["zh"])
            ),
        )
        for setting in settings()
    )
    return [setting for setting, text in texts if word in text.lower()]
