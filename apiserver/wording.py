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


def _type(word: str) -> str:
    """Names of types in Chinese; '`str | null`' has several."""
    parts = word.split(" | ")
    return "或".join(_TYPES[part] for part in parts) if all(part in _TYPES for part in parts) else word
