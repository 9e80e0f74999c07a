"""Faults of the HTTP surface itself; what a request asks for is refused by the rooms' own faults."""

from typing import Final

from primitives import errors
from primitives.errors import Kind

NO_ROUTE: Final = errors.Fault(
    "route.unknown",
    Kind.NOT_FOUND,
    en="there is nothing at {path}",
    zh="路径 {path} 不存在",
    mend_en="see the list of operations: GET /openapi.json or /docs",
    mend_zh="请查看接口清单：GET /openapi.json 或 /docs",
)
METHOD: Final = errors.Fault(
    "route.method",
    Kind.INVALID,
    en="{method} is not possible on {path}; possible: {allow}",
    zh="{path} 不支持 {method}，可用方法：{allow}",
    mend_en="use one of {allow}",
    mend_zh="请使用 {allow}",
)
NO_TOKEN: Final = errors.Fault(
    "auth.missing",
    Kind.UNAUTHENTICATED,
    en="the request carries no token",
    zh="请求未携带令牌",
    mend_en="govpool login --server URL (or send 'Authorization: Bearer TOKEN')",
    mend_zh="govpool login --server URL（或发送 Authorization: Bearer 令牌）",
)
NO_KEY: Final = errors.Fault(
    "idempotency.missing",
    Kind.INVALID,
    en="{method} {path} changes something and needs an Idempotency-Key",
    zh="{method} {path} 会产生变更，必须携带 Idempotency-Key",
    mend_en="send a header such as 'Idempotency-Key: {example}' and the same one when you repeat the request",
    mend_zh="请发送请求头，例如 Idempotency-Key: {example}；重试同一请求时使用同一个值",
)
BAD_KEY: Final = errors.Fault(
    "idempotency.invalid",
    Kind.INVALID,
    en="an Idempotency-Key has 1 to 128 characters out of letters, digits and . _ : -",
    zh="Idempotency-Key 须为 1 至 128 个字母、数字或 . _ : - 字符",
    mend_en="use a UUID",
    mend_zh="请使用 UUID",
)
NO_IF_MATCH: Final = errors.Fault(
    "precondition.missing",
    Kind.INVALID,
    en="{method} {path} overwrites something and needs If-Match",
    zh="{method} {path} 会覆盖已有内容，必须携带 If-Match",
    mend_en="read it first and send its ETag as If-Match",
    mend_zh="请先读取，并将其 ETag 作为 If-Match 发送",
)
CONTENT_TYPE: Final = errors.Fault(
    "input.content_type",
    Kind.INVALID,
    en="the body must be {wanted}, not {found}",
    zh="请求体类型应为 {wanted}，而不是 {found}",
    mend_en="send 'Content-Type: {wanted}'",
    mend_zh="请发送 Content-Type: {wanted}",
)
TOO_LARGE: Final = errors.Fault(
    "input.too_large",
    Kind.TOO_LARGE,
    en="the body is larger than {limit} bytes",
    zh="请求体超过 {limit} 字节",
    mend_en="send it in parts",
    mend_zh="请分批提交",
)
TOO_DEEP: Final = errors.Fault(
    "input.too_deep",
    Kind.INVALID,
    en="the body is nested deeper than {limit} levels",
    zh="请求体嵌套超过 {limit} 层",
    mend_en="send a flatter document",
    mend_zh="请减少嵌套层数",
)
BUSY: Final = errors.Fault(
    "server.busy",
    Kind.UNAVAILABLE,
    en="the server has {waiting} requests waiting and takes no more",
    zh="服务器已有 {waiting} 个请求在等待，暂不接受新请求",
    mend_en="repeat the same request with the same Idempotency-Key in a moment",
    mend_zh="请稍后使用相同的 Idempotency-Key 重试",
)
CURSOR: Final = errors.Fault(
    "input.cursor",
    Kind.INVALID,
    en="the cursor is not one that this list gave out",
    zh="游标不是本列表返回的游标",
    mend_en="start again without cursor",
    mend_zh="请去掉 cursor 重新查询",
)
DATABASE: Final = errors.Fault(
    "server.database",
    Kind.UNAVAILABLE,
    en="the database does not answer right now",
    zh="数据库暂时没有响应",
    mend_en="repeat the same request with the same Idempotency-Key in a moment",
    mend_zh="请稍后使用相同的 Idempotency-Key 重试",
)
NOT_READY: Final = errors.Fault(
    "server.not_ready",
    Kind.UNAVAILABLE,
    en="the server is not ready: {reason}",
    zh="服务未就绪：{reason}",
    mend_en="wait; if it lasts, see the server's log",
    mend_zh="请稍候；如持续出现，请查看服务日志",
)
SLOW: Final = errors.Fault(
    "lane.slow",
    Kind.UNAVAILABLE,
    en="the change was not committed within {waited_s} s; whether it will be is unknown",
    zh="变更在 {waited_s} 秒内未提交，是否生效未知",
    mend_en="repeat the same request with the same Idempotency-Key",
    mend_zh="请使用相同的 Idempotency-Key 重新提交同一请求",
)
NEEDS_TLS: Final = errors.Fault(
    "serve.tls",
    Kind.INVALID,
    en="{host} is reachable from other computers, and there is no certificate",
    zh="{host} 可从其他计算机访问，但未配置证书",
    mend_en="give --tls-cert and --tls-key, or listen on 127.0.0.1",
    mend_zh="请提供 --tls-cert 与 --tls-key，或仅监听 127.0.0.1",
)
PORT: Final = errors.Fault(
    "serve.port",
    Kind.CONFLICT,
    en="cannot listen on {host} port {port}: {reason}",
    zh="无法监听 {host} 端口 {port}：{reason}",
    mend_en="choose another --port, or 0 for a free one",
    mend_zh="请更换 --port，或使用 0 自动选择",
)
