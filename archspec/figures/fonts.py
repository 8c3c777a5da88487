"""Words → px: how wide text is, by the metrics that Helvetica, Arial and Liberation Sans share.

Source of the widths: Adobe's font metrics (AFM) of Helvetica and Helvetica-Bold; for arrows and
signs that these lack, and where the two differ, Liberation Sans (1.07) where that is wider.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

FAMILY = "Helvetica, Arial, 'Liberation Sans', sans-serif"
ASCENT = 0.74
"""Of capitals and figures above the base line, in ems."""
DESCENT = 0.21

# thousandths of an em -> the characters that are so wide
_REGULAR = {
    167: "⁄",
    191: "'",
    222: "ijlł‘’‚",
    260: "|¦",
    278: " !,./:;I[\\]ft\u00a0·ÌÍÎÏìíîïı",
    333: "()-`r¡¨²³´¸¹ˆˇ˘˙˚˛˜˝“”„‹›",
    334: "{}",
    350: "•",
    355: '"',
    365: "º",
    370: "ª",
    389: "*",
    400: "°",
    469: "^",
    494: "∂",
    500: "Jcksvxyzçýÿšž↑↓ﬁﬂ",
    537: "¶",
    549: "√≈≠≤≥",
    552: "¯",
    556: "#$0123456789?L_abdeghnopqu¢£¤¥§«»àáâãäåèéêëðñòóôõöùúûüþŁƒ–†‡€",
    576: "µ",
    584: "+<=>~¬±×÷−",
    611: "FTZ¿ßøŽ",
    667: "&ABEKPSVXYÀÁÂÃÄÅÈÉÊËÝÞŠŸ",
    713: "∑∞",
    722: "CDHNRUwÇÐÑÙÚÛÜ",
    737: "©®",
    778: "GOQÒÓÔÕÖØ",
    823: "∏",
    833: "Mm",
    834: "¼½¾",
    889: "%æ",
    944: "Wœ",
    1000: "ÆŒ—…‰™←→↔",
    1015: "@",
}
_BOLD = {
    167: "⁄",
    238: "'",
    278: " ,./I\\ijl\u00a0·ÌÍÎÏìíîïıł‘’‚",
    280: "|¦",
    333: "!()-:;[]`ft¡¨²³´¸¹ˆˇ˘˙˚˛˜˝‹›",
    350: "•",
    365: "º",
    370: "ª",
    389: "*r{}",
    400: "°",
    474: '"',
    494: "∂",
    500: "zž“”„↑↓",
    549: "√≈≠≤≥",
    552: "¯",
    556: "#$0123456789J_aceksvxy¢£¤¥§«¶»àáâãäåçèéêëýÿšƒ–†‡€",
    584: "+<=>^~¬±×÷−",
    611: "?FLTZbdghnopquµ¿ßðñòóôõöøùúûüþŁŽﬁﬂ",
    667: "EPSVXYÈÉÊËÝÞŠŸ",
    713: "∑∞",
    722: "&ABCDHKNRUÀÁÂÃÄÅÇÐÑÙÚÛÜ",
    737: "©®",
    778: "GOQwÒÓÔÕÖØ",
    823: "∏",
    833: "M",
    834: "¼½¾",
    889: "%mæ",
    944: "Wœ",
    975: "@",
    1000: "ÆŒ—…‰™←→↔",
}
_WIDTHS = tuple(
    {sign: em for em, signs in table.items() for sign in signs} for table in (_REGULAR, _BOLD)
)
_ELLIPSIS = "…"


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Advance width in px of one line of text at `size` px; no pair is kerned.

    Signs without a known width count as much as they take in any common font.
    """
    return _thousandths(text, bold) * size / 1000


def known(text: str) -> bool:
    """Whether the width of every sign is known, not estimated."""
    return all(sign in _WIDTHS[0] for sign in text)


def fit(text: str, size: float, most: float, *, bold: bool = False) -> str:
    """The text, its end replaced by `…` where it is wider than `most` px; "" where nothing fits."""
    if width(text, size, bold=bold) <= most:
        return text
    for end in range(len(text) - 1, -1, -1):
        short = text[:end].rstrip() + _ELLIPSIS
        if width(short, size, bold=bold) <= most:
            return short
    return ""


def folded(words: Iterable[str], size: float, most: float, between: str = ", ") -> list[str]:
    """Words in lines of at most `most` px, where no word alone is wider."""
    found: list[str] = []
    for word in words:
        if found and width(found[-1] + between + word, size) <= most:
            found[-1] += between + word
        else:
            found.append(word)
    return found


@lru_cache(maxsize=4096)
def _thousandths(text: str, bold: bool) -> int:
    table = _WIDTHS[bold]
    return sum(table[sign] if sign in table else _estimate(sign) for sign in text)


def _estimate(sign: str) -> int:
    """From above: a browser takes the sign from whichever font has it."""
    category = unicodedata.category(sign)
    if category in ("Mn", "Me", "Cf", "Cc"):  # stands on the sign before it, or is not seen
        return 0
    if category == "So":  # emoji
        return 1400
    if unicodedata.east_asian_width(sign) in "WF":
        return 1050
    return {"Ll": 900, "Lu": 1150}.get(category, 1250)
