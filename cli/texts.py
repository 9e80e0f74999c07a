"""Chinese and English: the language of this process, the one way to say something in both, and the Chinese names of codes.

`main` settles the language before any command module is imported, so help texts may call `say` where they are declared.
"""

import os

_lang = "en"


def settle(wanted: str = "") -> str:
    """Set the language: `--lang`, else GOVPOOL_LANG, LC_ALL, LC_MESSAGES, LANG.  Returns 'zh' or 'en'."""
    global _lang
    names = ("GOVPOOL_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    found = wanted or next((os.environ[name] for name in names if os.environ.get(name)), "")
    _lang = "zh" if found.lower().startswith("zh") else "en"
    return _lang


def lang() -> str:
    """'zh' or 'en'."""
    return _lang


def say(en: str, zh: str) -> str:
    """The text in the language of this process."""
    return zh if _lang == "zh" else en


def state(code: str) -> str:
    """A state of anything, in Chinese where the process speaks it; an unknown one stays as it is."""
    return _STATES.get(code, code) if _lang == "zh" else code


def code_of(text: str) -> str:
    """The code of a state that was read in a Chinese table; anything else stays as it is."""
    return next((code for code, chinese in _STATES.items() if chinese == text), text)


def kind(code: str) -> str:
    """A kind of resource, in Chinese where the process speaks it."""
    return _KINDS.get(code, code) if _lang == "zh" else code


def action(code: str) -> str:
    """What an order's line does, in Chinese where the process speaks it."""
    return _ACTIONS.get(code, code) if _lang == "zh" else code


_KINDS = {"VirtualMachine": "虚拟机", "Volume": "云硬盘", "ContainerApp": "容器服务", "Project": "项目"}
_ACTIONS = {
    "create": "新建",
    "delete": "删除",
    "undelete": "恢复",
    "resize": "调整",
    "scale": "扩缩",
    "update": "滚动更新",
    "start": "启动",
    "stop": "停止",
    "restart": "重启",
    "extend": "续期",
    "move": "移交",
}
_STATES = {
    "open": "办理中",
    "waiting_for_approval": "待审批",
    "delivering": "交付中",
    "delivered": "已交付",
    "partly_delivered": "部分交付",
    "failed": "失败",
    "refused": "已驳回",
    "withdrawn": "已撤回",
    "ended": "已过期",
    "creating": "创建中",
    "running": "运行中",
    "stopped": "已停止",
    "changing": "变更中",
    "bin": "回收站",
    "releasing": "释放中",
    "grace": "宽限期",
    "lost": "丢失",
    "gone": "已移除",
    "written_off": "已核销",
    "deleted": "已删除",
    "active": "正常",
    "frozen": "已冻结",
    "closing": "注销中",
    "closed": "已注销",
    "disabled": "已停用",
    "revoked": "已吊销",
    "expired": "已过期",
    "Open": "未出账",
    "Issued": "已出账",
    "asked": "待第二人确认",
    "merged": "已合并",
    "going_on": "收回中",
    "returned": "已归还",
    "overdue": "已逾期",
}
