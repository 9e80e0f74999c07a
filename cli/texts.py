"""Chinese and English: the language of this process, and the one way to say something in both.

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
