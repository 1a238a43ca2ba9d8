"""Who is taken for a program, and who is not."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.crawlers import _CRAWLER, is_crawler

CHROME = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile"
PROGRAMS = (
    "WhatsApp/2.23.20.0",
    "WhatsApp/2.24.9.78 A",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "facebookcatalog/1.0",
    "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
    "TelegramBot (like TwitterBot)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Slack-ImgProxy (+https://api.slack.com/robots)",
    "Twitterbot/1.0",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
    # iMessage's.
    "Mozilla/5.0 (Macintosh) AppleWebKit/601.2.4 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
    "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1.15 (Applebot/0.1)",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    f"{CHROME} (compatible; Google-InspectionTool/1.0;)",
    "GoogleOther",
    "AdsBot-Google (+http://www.google.com/adsbot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/131.0.0.0",
    "Mozilla/5.0 (compatible; YandexRenderResourcesBot/1.0)",
    "Pinterest/0.2 (+https://www.pinterest.com/bot.html)",
    "Google" * 1_500 + "bot",
)
PEOPLE = (
    "",
    CHROME,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari",
    # The browsers within apps: there people read.
    f"{CHROME} Telegram-Android/11.3.4 (Google Pixel 8)",
    f"{CHROME} WhatsApp/2.24.9",
    f"{CHROME} Instagram 331.0.0.37.90 Android",
    "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Mobile/15E148 [FBAN/FBIOS;FBAV/450.0.0.38]",
    "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 [LinkedInApp]/9.29.8735",
    "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Twitter for iPhone/10.40",
    "Mozilla/5.0 (Linux; Android 9; Cubot X19) Chrome/100",
    "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 [Pinterest/iOS]",
    "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Safari/605.1.15 Robotics/1.0",
    "curl/8.5.0",
)


@pytest.mark.parametrize("user_agent", PROGRAMS)
def test_programs_say_that_they_are(user_agent: str) -> None:
    assert is_crawler(user_agent)
    assert is_crawler(user_agent.upper())


@pytest.mark.parametrize("user_agent", PEOPLE)
def test_people_are_never_taken_for_one(user_agent: str) -> None:
    assert not is_crawler(user_agent)


@given(st.from_regex(_CRAWLER))
def test_the_quick_look_hides_no_program(user_agent: str) -> None:
    # Lower-casing may change what stands around a name that is not ASCII.
    assert is_crawler(user_agent) == (re.search(_CRAWLER, user_agent.lower()) is not None)
    if user_agent.isascii() and user_agent == user_agent.lower():
        assert is_crawler(user_agent)
