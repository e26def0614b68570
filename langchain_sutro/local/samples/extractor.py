"""`lead-extractor`: company, segment and region from the text of a lead, by rules."""

from __future__ import annotations

import re

from langchain_sutro.local.functions import Answer, LocalFunction

__all__ = ["lead_extractor"]

_PLACES = {
    "APAC": (
        "APAC, Asia, Australia, Sydney, Melbourne, Brisbane, Perth, New Zealand, Auckland, "
        "Wellington, Japan, Tokyo, Osaka, Korea, Seoul, China, Beijing, Shanghai, Shenzhen, "
        "Hong Kong, Taiwan, Taipei, Singapore, Malaysia, Kuala Lumpur, Indonesia, Jakarta, "
        "Philippines, Manila, Thailand, Bangkok, Vietnam, Hanoi, India, Mumbai, Delhi, Bangalore, "
        "Bengaluru, Chennai, Hyderabad"
    ),
    "EMEA": (
        "EMEA, Europe, EU, UK, United Kingdom, England, London, Manchester, Edinburgh, Ireland, "
        "Dublin, Germany, Berlin, Munich, Hamburg, Frankfurt, France, Paris, Lyon, Spain, Madrid, "
        "Barcelona, Portugal, Lisbon, Italy, Milan, Rome, Netherlands, Amsterdam, Belgium, "
        "Brussels, Switzerland, Zurich, Geneva, Austria, Vienna, Sweden, Stockholm, Norway, Oslo, "
        "Denmark, Copenhagen, Finland, Helsinki, Poland, Warsaw, Prague, Turkey, Istanbul, Israel, "
        "Tel Aviv, UAE, Dubai, Saudi Arabia, Riyadh, Egypt, Cairo, Kenya, Nairobi, Nigeria, Lagos, "
        "South Africa, Cape Town, Johannesburg"
    ),
    "AMER": (
        "AMER, Americas, North America, Latin America, USA, US, United States, New York, Chicago, "
        "Boston, Seattle, Austin, Dallas, Houston, Denver, Atlanta, Miami, Los Angeles, "
        "San Francisco, California, Texas, Canada, Toronto, Montreal, Vancouver, Mexico, "
        "Mexico City, Brazil, São Paulo, Sao Paulo, Argentina, Buenos Aires, Chile, Santiago, "
        "Colombia, Bogotá, Bogota, Peru, Lima"
    ),
}
_REGIONS = {place: region for region, places in _PLACES.items() for place in places.split(", ")}
# "US" and "EU" are places only in capitals: "us" is a word.
_PLACE = re.compile(
    r"\b(?:(?i:" + "|".join(p for p in _REGIONS if len(p) > 2) + r")|UK|US|EU)(?!\w)"
)
_REGION_OF = {place.casefold(): region for place, region in _REGIONS.items()}

_PEOPLE = re.compile(
    r"\b(\d{1,3}(?:[,.]\d{3})+|\d+)(k?)[ -]?(?:\w+ )?"
    r"(?:employees|employee|people|persons?|staff|seats|users|agents|engineers|licen[cs]es|fte)\b",
    re.IGNORECASE,
)
_SEGMENT_WORDS = (
    ("enterprise", r"enterprise|multinational|fortune \d+|global group|listed company"),
    ("mid-market", r"mid-?size[d]?|mid-?market|scale-?up|regional chain"),
    ("small business", r"start-?up|small business|family(?:-run| business)|freelanc\w+|solo|hobby"),
)

_WORD = r"[A-Z][\w&'\u2019-]*"
_NAME = rf"({_WORD}(?: (?:&|and|of|de) {_WORD}| {_WORD})*)"
_KINDS = (
    "Inc|Ltd|LLC|GmbH|AG|SA|BV|Pty|Corp|Group|Bank|Health|Logistics|Foods|Labs|Systems|Energy|"
    "Retail|Airlines|Insurance|Capital|Robotics|Media|Motors|Hotels|Pharma|Telecom|Partners|"
    "Freight|Analytics|Mining|Textiles|Brewing|Software|Consulting|Hospital|Industries"
)
# From the surest sign of a company's name to the weakest, with how far to trust it.
_COMPANY = (
    (re.compile(rf"\b({_WORD}(?: {_WORD}){{0,3}} (?:{_KINDS}))\b"), 0.95),
    (re.compile(rf"\b(?i:at|from|for|behalf of|represent|join|joining) {_NAME}"), 0.8),
    (re.compile(rf"(?:^|[.!?] ){_NAME} (?:is|are|has|needs|wants|here)\b"), 0.65),
    (re.compile(r"@([a-z0-9-]+)\.[a-z]{2,}\b"), 0.6),
)
# Words that begin a sentence, or a title, and no name.
_NO_NAMES = re.compile(
    "A|An|And|Any|As|At|Can|Could|Do|For|From|Hello|Hey|Hi|How|I|If|In|Is|It|Just|Looking|My|No|"
    "Not|On|Only|Our|Please|The|This|To|We|What|When|Who|With|Would|You|Your|Head|Director|VP|"
    "CTO|CFO|CEO|IT|Sales|Compliance|Procurement|RevOps|Salesforce|Zendesk|Budget|Kick|Good"
)


def lead_extractor() -> LocalFunction:
    """The Function, ready to publish."""
    return LocalFunction(
        "lead-extractor",
        _extract,
        input_schema={
            "type": "object",
            "properties": {"text": {"type": "string", "description": "What the lead wrote."}},
            "required": ["text"],
        },
        output_schema={
            "type": "object",
            "properties": {
                "company": {"type": "string", "description": "Its name, or empty."},
                "segment": {
                    "type": "string",
                    "enum": ["enterprise", "mid-market", "small business", "unknown"],
                },
                "region": {"type": "string", "enum": ["APAC", "EMEA", "AMER", "unknown"]},
                "rationale": {"type": "string"},
            },
            "required": ["company", "segment", "region", "rationale"],
        },
        description="Extracts company, segment and region from the text of a sales lead.",
        prompt=(
            "Read the lead. Give the company's name, its segment (1,000 people and more are "
            "enterprise, 100 and more mid-market, fewer small business) and its sales region."
        ),
        model="rules",
    )


def _extract(row: dict[str, str]) -> Answer:
    text = row["text"]
    company, company_sure, company_why = _company(text)
    segment, segment_sure, segment_why = _segment(text)
    region, region_sure, region_why = _region(text)
    return Answer(
        {"company": company, "segment": segment, "region": region},
        confidence=round((company_sure + segment_sure + region_sure) / 3, 4),
        rationale=f"Company: {company_why}. Segment: {segment_why}. Region: {region_why}.",
    )


def _company(text: str) -> tuple[str, float, str]:
    for pattern, sure in _COMPANY:
        for found in pattern.finditer(text):
            words = found[1].split()
            while words and _NO_NAMES.fullmatch(words[0]):
                del words[0]
            name = " ".join(words)
            if not name or name.casefold() in _REGION_OF or (name.isupper() and len(name) < 3):
                continue
            if name.islower():
                name = name.replace("-", " ").title()
            return name, sure, f'"{found[0].strip(" .!?")}"'
    return "", 0.4, "no name found"


def _segment(text: str) -> tuple[str, float, str]:
    sizes = [
        (int(re.sub(r"\D", "", found[1])) * (1000 if found[2] else 1), found[0])
        for found in _PEOPLE.finditer(text)
    ]
    if sizes:
        size, words = max(sizes)
        large = "enterprise" if size >= 1000 else "mid-market"
        segment = large if size >= 100 else "small business"
        return segment, 0.95, f'"{words}"'
    for segment, pattern in _SEGMENT_WORDS:
        if found := re.search(rf"\b(?:{pattern})\b", text, re.IGNORECASE):
            return segment, 0.75, f'"{found[0]}"'
    return "unknown", 0.4, "no size found"


def _region(text: str) -> tuple[str, float, str]:
    places = [found[0] for found in _PLACE.finditer(text)]
    regions = {_REGION_OF[place.casefold()] for place in places}
    if not places:
        return "unknown", 0.4, "no place found"
    # Of several regions, the first place named is where people say that they are.
    sure = 0.95 if len(regions) == 1 else 0.6
    return _REGION_OF[places[0].casefold()], sure, f'"{places[0]}"'
