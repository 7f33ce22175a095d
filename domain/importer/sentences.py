"""Cutting a text into sentences, and a sentence where another statement may begin. Nothing is left out."""

import re

MAX_SPLITS = 24

_BREAK = re.compile(
    r"\r?\n+|;\s|(?<![.!?])(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\bapprox)(?<!\betc)[.!?]+[\"')\]]*(?=\s)",
    re.IGNORECASE,
)
_LIST_MARK = re.compile(r"(?:step )?\(?\d{1,2}[.:)]", re.IGNORECASE)
_BULLET = r"[-*\N{BULLET}\N{EN DASH}\N{EM DASH}\N{MIDDLE DOT}]"
STATEMENT = re.compile(
    r"(?:(?:and|then|but|also|next|finally|or|with|plus|use|set|place|put|we|i|you|should|will|to|want|using)\b[ ,]*)*"
    r"(?:(?:an?|the|my|your|our|its|initial|fixed|hard|tight)\s+)*"
    r"(?:buy(?:ing)?|purchase|sell(?:ing)?|short(?:ing)?(?! term|-term| ema| sma| ma\b)|go(?:ing)? (?:long|short)"
    r"|enter(?:ing)?|exit(?:ing)?|cover(?:ing)?|liquidate|leave"
    r"|clos(?:e|ing) (?:the |your |my |our |all |any |out )?(?:long|short|position|trade|it\b|out\b|when\b|if\b)s?"
    r"|open(?:ing)? (?:an? )?(?:long|short|position|trade)"
    r"|stop(?:s|ping)?\b|trail|take|target|profit target|risk|position siz|size\b|sl\b|tp\b|lot size|hold\b|trade\b"
    r"|invest|allocat|maximum|max\b|on (?:the )?\S{1,9}[ -]?(?:chart|timeframe|bars|candles)"
    r"|\d[\d.]*\s*(?:%|percent|pips?|x?\s*atr)\s+(?:\w+[ -]){0,2}(?:stop|target|profit|loss|trail|risk))",
    re.IGNORECASE,
)
_JOINT = re.compile(
    r",\s*(?:and\s+|then\s+|but\s+|or\s+|with\s+)*|\s+(?:and|then|but|with|or|plus|using)\s+"
    rf"|\s*[|/]\s+|\s+{_BULLET}\s+|:\s+{_BULLET}\s+|\)\s+",
    re.IGNORECASE,
)

Span = tuple[int, int]


def sentences(text: str) -> list[Span]:
    """Spans that together hold all of the text but white space at their edges."""
    spans: list[Span] = []
    start = 0
    for found in _BREAK.finditer(text):
        if _LIST_MARK.fullmatch(text[start : found.end()].strip()):
            continue
        spans.append((start, found.end()))
        start = found.end()
    spans.append((start, len(text)))
    whole: list[Span] = []
    for span in (trim(text, *each) for each in spans):
        if whole and not any(char.isalnum() for char in text[slice(*span)]):
            whole[-1] = (whole[-1][0], span[1])  # a lone list mark says nothing by itself
        elif span[0] < span[1]:
            whole.append(span)
    return [trim(text, *span) for span in whole]


def joints(text: str) -> list[int]:
    """Offsets after which another statement seems to begin; at most MAX_SPLITS of them."""
    found: list[int] = []
    for joint in _JOINT.finditer(text):
        if STATEMENT.match(text, joint.end()) and joint.end() < len(text):
            begin = joint.start() + len(joint.group()) - len(joint.group().lstrip(" ,:|/)"))
            found.append(begin)
            if len(found) >= MAX_SPLITS:
                break
    return [at for at in found if at > 0]


def trim(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def is_cut(text: str) -> bool:
    """Whether the text breaks off: it ends in an ellipsis, or is as long as the 200 characters that the older tool
    kept of a source and doesn't end a sentence."""
    if text.endswith(("...", "\N{HORIZONTAL ELLIPSIS}")):
        return True
    return 195 <= len(text) <= 200 and not text.endswith((".", "!", "?", ")"))
