"""Crawlers and link previews: programs that say in their user agent that they are no shopper."""

import re
from functools import lru_cache

_CRAWLER = re.compile(
    r"""
    (?:google|bing|yandex|baidu|duckduck|petal|ahrefs|semrush|mj12|apple|amazon|dot|seznam|gpt|claude|ccbot|bytes|exa)
    [a-z]{0,16}(?:bot|spider)\b
    | \b(?:adsbot|mediapartners|apis|feedfetcher)-google | \bgoogle-(?:pagerenderer|inspectiontool|read-aloud|safety)\b
    | \bgoogle(?:other|imageproxy) | \bgoogle\ web\ preview\b | \bslurp\b | \bbingpreview\b | \bmicrosoftpreview\b
    | \bfacebookexternalhit\b | \bfacebookcatalog\b | \bfacebot\b | \bmeta-external(?:agent|fetcher|hit)\b
    | ^whatsapp/ | \btelegrambot\b | \btwitterbot\b | \bslackbot\b | \bslack-imgproxy\b | \bdiscordbot\b
    | \blinkedinbot\b | \bskypeuripreview\b | \bline-poker\b | \bkakaotalk-scrap\b | \bsnap\ url\ preview\b
    | ^pinterest/ | \bpinterestbot\b | \bredditbot\b | \bvkshare\b | \bembedly\b | \biframely\b
    | \bpingdom | \buptimerobot\b | \bheadlesschrome\b | \blighthouse\b | \bcrawler\b | \bspider\b
    """,
    re.ASCII | re.VERBOSE,
)
"""Programs that say so themselves, in lower case. Nobody is taken for one on a guess: a shopper lost costs more than a
robot kept.

WhatsApp's and Signal's previews are "WhatsApp/2.…" from the first letter on, and Apple's claim to be Facebook's. An
app's name elsewhere is that of its own browser, in which people read.
"""

_MARKS = (
    *("bot", "spider", "crawler", "google", "slurp", "preview", "facebook", "meta-external", "whatsapp/", "imgproxy"),
    *("line-poker", "kakaotalk-scrap", "pinterest/", "vkshare", "embedly", "iframely", "pingdom", "headlesschrome"),
    "lighthouse",
)
"""Each of those programs' names has one of these in it: to look for them takes a hundredth of the pattern's time."""


@lru_cache(maxsize=4096)
def is_crawler(user_agent: str) -> bool:
    """True when the user agent names a crawler or a link preview. An absent one is nobody's.

    Kept: a visit says the same in each event, and so do very many visits.
    """
    plain = user_agent.lower()
    # A loop: a generator would cost more than the looks.
    for mark in _MARKS:
        if mark in plain:
            return _CRAWLER.search(plain) is not None
    return False
