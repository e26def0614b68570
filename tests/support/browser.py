"""The Chromium of the machine, and what it shows: colours and their contrast."""

import re
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

# A function of the page: the colours of what a selector finds, each with the one behind it.
SHOWN_COLOURS = """selector => [...document.querySelectorAll(selector)]
    .filter(it => it.checkVisibility())
    .map(it => {
        let back = it;
        while (getComputedStyle(back).backgroundColor === 'rgba(0, 0, 0, 0)'
               && back.parentElement) back = back.parentElement;
        return [getComputedStyle(it).color, getComputedStyle(back).backgroundColor];
    })"""


def rgb(text):
    return [int(number) / 255 for number in re.findall(r"\d+", text)[:3]]


def luminance(colour):
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(text, back):
    """As WCAG 2 defines it."""
    light, dark = sorted((luminance(text), luminance(back)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
