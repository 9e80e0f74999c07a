"""What the lab cloud's noes mean to a department: errors of the contract, one sentence each in both languages."""

from provisioners import contract
from provisioners.lab import client


def vanished() -> contract.PermanentError:
    """The guest was deleted in the cloud behind govpool's back."""
    return contract.PermanentError(
        "cloud.vanished",
        en="the resource was deleted in the cloud, not through govpool",
        zh="该资源已在云平台侧被删除，并非通过本系统操作",
    )


def failed(detail: str) -> contract.PermanentError:
    """The cloud accepted the resource and gave it up."""
    return contract.PermanentError("cloud.failed", en=f"the cloud could not build it: {detail}", zh=f"云平台未能完成创建：{detail}")


def rolled_back() -> contract.PermanentError:
    """The new replicas did not become ready; the cloud went back to the old ones."""
    return contract.PermanentError(
        "cloud.rolled_back",
        en="the new replicas did not become ready; the old ones go on",
        zh="新副本未能就绪，已回退，原副本继续运行",
    )


def refused(refusal: client.RefusedError) -> contract.DriverError:
    """The contract's error of a 4xx answer."""
    texts = {
        "quota": ("the cloud's own limit of the department does not allow it yet", "云平台侧的部门配额尚不允许"),
        "tenant.unknown": ("the department's project is not ready in the cloud", "部门在云平台的项目尚未就绪"),
        "no_host": ("no host of the wanted zone and class has room for it", "所选可用区和服务类别中没有主机能容纳该资源"),
        "image_missing": ("the image does not exist in the cloud", "云平台中不存在该镜像"),
    }
    en, zh = texts.get(refusal.code, (f"the cloud refused it: {refusal.message}", f"云平台拒绝了该操作：{refusal.message}"))
    if refusal.code in ("quota", "tenant.unknown", "busy"):
        return contract.TemporaryError(f"cloud.{refusal.code.replace('.', '_')}", delay_s=5, en=en, zh=zh)
    return contract.PermanentError(f"cloud.{refusal.code.replace('.', '_')}", en=en, zh=zh)
