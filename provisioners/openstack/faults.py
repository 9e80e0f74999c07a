"""What an OpenStack answers when it says no, and the sentence for the department that it becomes."""

from typing import Any, Final

import msgspec

from provisioners import contract

CREDENTIAL_AGAIN_S: Final = 60
BUSY_AGAIN_S: Final = 5
_SAYING_MAX: Final = 300


class RefusedError(Exception):
    """A 4xx answer in the cloud's own words, for the driver to read before it becomes an error of the contract."""

    def __init__(self, status: int, message: str, kind: str = "") -> None:
        self.status = status
        self.message = message
        self.kind = kind  # neutron's `type`; else ''
        super().__init__(f"{status} {message}")

    @property
    def is_quota(self) -> bool:
        """Whether a native limit of the project refuses it: nova says 403, cinder 413, neutron 409 (`README.md` of the test bed)."""
        if self.status == 413 or self.kind == "OverQuota":
            return True
        return self.status == 403 and ("uota exceeded" in self.message or "aximum number of" in self.message)


def read(status: int, payload: bytes) -> RefusedError:
    """The refusal that an answer from 400 on is.  The services wrap their message in one object each."""
    try:
        body: Any = msgspec.json.decode(payload)
    except msgspec.MsgspecError:
        body = None
    inner = next(iter(body.values()), None) if isinstance(body, dict) else None
    if not isinstance(inner, dict):
        return RefusedError(status, "the answer could not be read")
    return RefusedError(status, str(inner.get("message", ""))[:_SAYING_MAX], str(inner.get("type", "")))


def refused(refusal: RefusedError) -> contract.DriverError:
    """The contract's error of a refusal that nothing else is made of."""
    if refusal.is_quota:
        return contract.TemporaryError(
            "cloud.quota",
            delay_s=BUSY_AGAIN_S,
            en="the cloud's own limit of the department does not allow it yet",
            zh="云平台侧的部门配额尚不允许",
        )
    if "availability zone" in refusal.message or "No valid host" in refusal.message:
        return no_host()
    if refusal.status in (409, 423):
        return busy()
    return contract.PermanentError(
        "cloud.refused", en=f"the cloud refused it: {refusal.message}", zh=f"云平台拒绝了该操作：{refusal.message}"
    )


def unreachable() -> contract.TemporaryError:
    """The cloud does not answer, and nothing was changed."""
    return contract.TemporaryError(
        "cloud.unreachable",
        delay_s=BUSY_AGAIN_S,
        en="the cloud cannot be reached; it is tried again",
        zh="云平台暂时无法连接，系统将自动重试",
    )


def busy() -> contract.TemporaryError:
    """Not now: too many requests, or something else is under way."""
    return contract.TemporaryError(
        "cloud.busy", delay_s=BUSY_AGAIN_S, en="the cloud is busy; it is tried again", zh="云平台繁忙，系统将自动重试"
    )


def credential() -> contract.TemporaryError:
    """Our account is refused.  For now: no department's resource may fail for good because a password was changed."""
    return contract.TemporaryError(
        "cloud.credential",
        delay_s=CREDENTIAL_AGAIN_S,
        en="the cloud refuses the account of govpool; cloud operations must correct the clouds.yaml of the pool",
        zh="云平台拒绝了本系统的账号，须由云平台运维人员更正资源池的 clouds.yaml",
    )


def certificate() -> contract.TemporaryError:
    """The other end does not prove who it is."""
    return contract.TemporaryError(
        "cloud.certificate",
        delay_s=CREDENTIAL_AGAIN_S,
        en="the certificate of the cloud does not verify; cloud operations must set cacert in the clouds.yaml of the pool",
        zh="云平台证书校验失败，须由云平台运维人员在资源池的 clouds.yaml 中设置 cacert",
    )


def service_missing(service: str) -> contract.TemporaryError:
    """The cloud's catalogue lacks a service in this region."""
    return contract.TemporaryError(
        "cloud.service_missing",
        delay_s=CREDENTIAL_AGAIN_S,
        en=f"the cloud has no {service} service in this region; cloud operations must correct the pool",
        zh=f"云平台在该区域没有 {service} 服务，须由云平台运维人员更正资源池设置",
    )


def tenant_unknown() -> contract.TemporaryError:
    """`ensure_tenant` has not come through."""
    return contract.TemporaryError(
        "cloud.tenant_unknown",
        delay_s=BUSY_AGAIN_S,
        en="the department's project is not ready in the cloud",
        zh="部门在云平台的项目尚未就绪",
    )


def no_host() -> contract.PermanentError:
    """Nova finds no place."""
    return contract.PermanentError(
        "cloud.no_host",
        en="no host of the wanted zone and class has room for it",
        zh="所选可用区和服务类别中没有主机能容纳该资源",
    )


def image_missing(image: str) -> contract.PermanentError:
    """Glance has no such image that is ready."""
    return contract.PermanentError(
        "cloud.image_missing", en=f"the image {image} does not exist in the cloud", zh=f"云平台中不存在镜像 {image}"
    )


def disk_too_small(disk_gib: int, needed_gib: int) -> contract.PermanentError:
    """The image does not fit."""
    return contract.PermanentError(
        "cloud.disk_too_small",
        en=f"the image needs a disk of {needed_gib} GiB, {disk_gib} GiB were ordered",
        zh=f"该镜像需要 {needed_gib} GiB 磁盘，申请的是 {disk_gib} GiB",
    )


def no_size(why: str, zh: str) -> contract.PermanentError:
    """This cloud cannot make what was ordered."""
    return contract.PermanentError("cloud.size", en=why, zh=zh)


def shrinks() -> contract.PermanentError:
    """Disks only grow."""
    return contract.PermanentError("cloud.shrinks", en="a disk cannot become smaller", zh="磁盘容量只能扩大，不能缩小")


def vanished() -> contract.PermanentError:
    """The resource was deleted in the cloud behind govpool's back."""
    return contract.PermanentError(
        "cloud.vanished",
        en="the resource was deleted in the cloud, not through govpool",
        zh="该资源已在云平台侧被删除，并非通过本系统操作",
    )


def failed(detail: str) -> contract.PermanentError:
    """The cloud accepted it and gave it up."""
    if "No valid host" in detail:
        return no_host()
    detail = detail[:_SAYING_MAX] or "no reason was given"
    return contract.PermanentError("cloud.failed", en=f"the cloud could not do it: {detail}", zh=f"云平台未能完成：{detail}")
