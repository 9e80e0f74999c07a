"""What the decoder says about wrong values, in Chinese.  Its own words are English; what is not in the table stays as it is."""

import re
from typing import Final

_TYPES: Final = {
    "int": "整数",
    "str": "文本",
    "bool": "布尔值",
    "float": "数字",
    "object": "对象",
    "array": "列表",
    "null": "空值",
    "decimal": "数字",
}
_NOUNS: Final = {
    "tenant": "单位",
    "project": "项目",
    "person": "人员",
    "member": "成员",
    "account": "账号",
    "binding": "角色授权",
    "token": "令牌",
    "notice": "通知",
    "recall": "配额收回",
    "grant": "配额",
    "budget": "预算",
    "order": "申请单",
    "resource": "资源",
    "lease": "租期",
    "pool": "资源池",
    "statement": "结算单",
    "price": "价目表",
}
_SENTENCES: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"Expected `([^`]+)`, got `([^`]+)`", "应为{0}，实际为{1}"),
        (r"Expected `(?:int|float)` >= (\S+)", "不得小于 {0}"),
        (r"Expected `(?:int|float)` <= (\S+)", "不得大于 {0}"),
        (r"Expected `(?:int|float)` > (\S+)", "须大于 {0}"),
        (r"Expected `(?:int|float)` < (\S+)", "须小于 {0}"),
        (r"Expected `str` of length >= (\d+)", "长度不得少于 {0}"),
        (r"Expected `str` of length <= (\d+)", "长度不得超过 {0}"),
        (r"Expected `(?:array|object)` of length >= (\d+)", "不得少于 {0} 项"),
        (r"Expected `(?:array|object)` of length <= (\d+)", "不得超过 {0} 项"),
        (r"Expected `str` matching regex '(.*)'", "格式须符合 {0}"),
        (r"Object contains unknown field `([^`]*)`", "含有未知字段 {0}"),
        (r"Object missing required field `([^`]*)`", "缺少必填字段 {0}"),
        (r"Invalid enum value (.*)", "取值 {0} 不在允许范围内"),
        (r"Integer value out of range", "整数超出范围"),
        (r"Number out of range", "数字超出范围"),
        (r"Input data was truncated", "内容不完整"),
        (r"JSON is malformed: (.*)", "JSON 格式错误：{0}"),
        (r"it is not UTF-8 at byte (\d+)", "第 {0} 字节处不是 UTF-8 编码"),
        (r"it contains the character U\+0000", "含有字符 U+0000"),
        (r"the parameter is given twice", "参数重复"),
        (r"this operation takes no such parameter", "该操作没有此参数"),
        (r"it is true or false", "取值须为 true 或 false"),
        (r"a part of the path has 1 to 128 printable characters", "路径各部分须为 1 至 128 个可见字符"),
        (r"(.*) is not an ISO 8601 time such as (\S+)", "{0} 不是 ISO 8601 时间，例如 {1}"),
        (r"(.*) has no offset; write (\S+) or (\S+)", "{0} 缺少时区，请写作 {1} 或 {2}"),
        (r"(.*) is not a month such as (\S+)", "{0} 不是月份，例如 {1}"),
        (r"(.*) is none of (.*)", "{0} 不在以下范围内：{1}"),
        (r"(.*) is not a day of the calendar", "{0} 不是有效日期"),
        (r"(.*) is not a whole second", "{0} 须精确到整秒"),
        (r"(.*) is past; the earliest is (\S+)", "{0} 已过，最早为 {1}"),
        (r"(.*) is less than a day away; the earliest is (\S+)", "{0} 距今不足一天，最早为 {1}"),
        (r"(.*) is more than (\d+) years away; 'none' is no end at all", "{0} 距今超过 {1} 年；无期限请写 none"),
        (r"(.*) is outside 1970 to 2199", "{0} 不在 1970 至 2199 年之间"),
        (r"(.*) ends then already", "{0} 的到期时间已是该时间"),
        (r"(.*) has not begun", "{0} 尚未开始"),
        (r"(.*) lies in the future", "{0} 晚于当前时间"),
        (
            r"(.*) is not an amount in yuan with at most 6 decimal places",
            "{0} 不是以元计的金额，如 120000 或 120000.50（不用千分位和汉字）",
        ),
        (r"(.*) is not a whole number", "{0} 不是整数"),
        (r"(.*) is not between (\S+) and (\S+)( GiB)?", "{0} 不在 {1} 至 {2} 之间"),
        (r"(.*) is more than max_replicas, which is (\d+)", "{0} 大于 max_replicas（{1}）"),
        (r"(.*) is not a code: .*, such as (\S+)", "{0} 不是有效代码：须为 1 至 63 个小写字母、数字或连字符，以字母开头，如 {1}"),
        (r"(.*) is not counted here; known names: (.*)", "没有配额项 {0}，可用的配额项：{1}"),
        (r"there is no tenant (.*) for which you may ask", "没有您可查看的单位 {0}"),
        (r"is needed here", "此处必填"),
    )
)


def chinese(reason: str) -> str:
    """The reason in Chinese, or as it was."""
    for pattern, text in _SENTENCES:
        found = pattern.fullmatch(reason)
        if found:
            return text.format(*(_type(part) for part in found.groups()))
    return reason


def noun(kind: str) -> str:
    """What an operation is about, in Chinese, or as it was."""
    return _NOUNS.get(kind, kind)


def _type(word: str) -> str:
    """Names of types in Chinese; '`str | null`' has several."""
    parts = word.split(" | ")
    return "或".join(_TYPES[part] for part in parts) if all(part in _TYPES for part in parts) else word
