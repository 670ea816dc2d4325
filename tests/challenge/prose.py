"""Health of somebody and of nobody; business that is internal and knowledge that is public."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.challenge.case import Case
from tests.challenge.people import NAMES

_ILLNESS = {
    "a": (
        "Crohn's disease",
        "lung cancer",
        "a herniated disc",
        "bipolar disorder",
        "HIV",
        "type 2 diabetes",
        "migraine",
        "a miscarriage",
        "multiple sclerosis",
        "burnout",
        "hepatitis C",
        "an eating disorder",
        "atrial fibrillation",
    ),
    "b": (
        "Parkinson's disease",
        "leukaemia",
        "a slipped disc",
        "schizophrenia",
        "asthma",
        "a stroke",
        "endometriosis",
        "depression",
        "epilepsy",
        "kidney failure",
        "gout",
        "ADHD",
        "coeliac disease",
    ),
    "c": ("psoriasis", "breast cancer", "a concussion", "PTSD", "dementia", "ulcerative colitis", "anorexia", "sepsis"),
}
_DRUG = {
    "a": ("metformin", "sertraline", "atorvastatin", "lithium", "warfarin", "insulin", "methotrexate"),
    "b": ("lisinopril", "fluoxetine", "ramipril", "quetiapine", "apixaban", "ibuprofen 800 mg", "adalimumab"),
    "c": ("citalopram", "simvastatin", "ritalin", "prednisolone", "tramadol", "levothyroxine"),
}
_PATIENT = {
    "a": (
        "{name} was diagnosed with {ill} in March.",
        "{name} takes {drug} every morning because of {ill}.",
        "Sick note for {name}: {ill}.",
        "Patient: {name}\nDiagnosis: {ill}\nMedication: {drug}",
        "{name} is off until May, the doctor suspects {ill}.",
        '{{"patient": {{"name": "{name}", "diagnosis": "{ill}"}}}}',
        "My colleague {name} told me that he has {ill}.",
        "{name} underwent surgery for {ill} last week.",
        "Bei {name} wurde {ill} festgestellt.",
        "The insurance refused to pay {name}'s therapy for {ill}.",
    ),
    "b": (
        "{name} has been living with {ill} for years.",
        "The GP put {name} on {drug} after {ill}.",
        "HR file: {name}, long-term illness ({ill}), reduced hours.",
        "Name: {name}; condition: {ill}; dose: {drug}",
        "{name} cannot travel, {ill} came back.",
        '{{"employee": "{name}", "medical_leave_reason": "{ill}"}}',
        "I am {name} and I suffer from {ill}.",
        "{name} was taken to hospital with {ill}.",
        "The scan of {name} shows {ill}.",
        "{name} asked for a quiet room on account of {ill}.",
    ),
    "c": (
        "{name} called in sick: {ill}.",
        "Discharge letter of {name}: treated for {ill} with {drug}.",
        "We learned that {name} has {ill}.",
        "{name} was prescribed {drug}.",
        "Diagnosis for {name}: {ill}",
        "{name} had to stop working because of {ill}.",
        "{name}, recovering from {ill}, asks for home office.",
    ),
}
_KNOWLEDGE = {
    "a": (
        "{Ill} affects millions of people worldwide.",
        "{Drug} is a common medicine against {ill}.",
        "The museum shows how {ill} was treated in the past.",
        "Researchers published a study on {ill} and diet.",
        "A balanced diet may lower the risk of {ill}.",
    ),
    "b": (
        "Doctors distinguish several forms of {ill}.",
        "{Drug} was first approved in the last century.",
        "The encyclopedia has an article on {ill}.",
        "Awareness week: learn more about {ill} on our website.",
        "Symptoms of {ill} vary from person to person.",
    ),
    "c": (
        "What is known about {ill}?",
        "{Drug} may cause drowsiness, says the leaflet.",
        "The charity runs for people with {ill}.",
        "A new trial compares treatments of {ill}.",
    ),
}
_INTERNAL = {
    "a": (
        "Roadmap: offline mode moves from Q2 to Q4, sales must not promise it yet.",
        "Budget for the data team next year is EUR 420k.",
        "The outage last night was caused by a bad migration on db-3.prod.internal.",
        "We will acquire the Lisbon studio in spring; confidential.",
        "Margin on the basic plan fell to 31 percent, finance wants a higher price.",
        "Standup notes: Karl blocks on review, release slips a day.",
        "Architecture decision: the gateway keeps sessions in Redis, the monolith stays for now.",
        "Headcount freeze until the board has decided.",
        "Runbook: if the queue grows beyond 10k, restart the consumers and page the on-call engineer.",
        "Vendor negotiation: we pay at most 80k for three years.",
        "Draft OKRs for the platform team: cut cloud cost by a fifth.",
        "Internal only: churn by segment for the third quarter.",
        "Deploy plan: canary to 10.20.0.0/16 at nine, full rollout at noon.",
        "Retro: the handover between design and backend takes too long.",
        "Our three largest customers make up half of the revenue.",
    ),
    "b": (
        "The launch of the new tariff is postponed, do not tell partners before June.",
        "Cost of the GPU cluster: 12k a month, owner research.",
        "Post mortem: the cache on cache-7.corp.lan was full for two hours.",
        "Project Falcon will replace the billing service next year.",
        "Hiring plan: two SREs, one lawyer, start in autumn.",
        "Minutes of the steering committee: scope cut, date kept.",
        "Design proposal: split the importer from the scheduler and share a table.",
        "Only for staff: the office in Graz closes in December.",
        "On-call handover: alerts on ingest-2.svc.cluster.local are noise, ignore until Friday.",
        "We lost the tender because our price was too high.",
        "The sprint goal was missed, three tickets carry over.",
        "Forecast: revenue grows by 8 percent if the enterprise deal closes.",
        "Rollout steps for staging: drain the node, migrate, check the dashboards.",
        "Legal asked us to hold back the press release.",
        "Spend per team: search 40k, mobile 25k, platform 61k.",
    ),
    "c": (
        "Pricing change for enterprise goes live in October, keep it under wraps.",
        "The importer ran out of memory on etl-2.prod.internal, we doubled the limit.",
        "Team mobile asks for one more tester, cost 60k a year.",
        "Next sprint: finish the export, start the audit view.",
        "The board sees the numbers on Friday, net loss 2.1 million.",
        "We stop paying the agency after June.",
        "Plan B if the vendor fails: run the old cluster for another quarter.",
        "Backlog grooming moved to Tuesday.",
        "Draft org chart: research reports to the CTO from March.",
    ),
}
_PUBLIC = {
    "a": (
        "The library parses dates in more than forty formats.",
        "Mount Etna is the tallest active volcano in Europe.",
        "Add the plugin to your configuration and restart the editor.",
        "Our bakery opens at seven and sells rye bread on Saturdays.",
        "Returns the number of items in the list, or zero if it is empty.",
        "Visit our booth at the fair and win a bicycle.",
        "The violin has four strings tuned in fifths.",
        "This release fixes a crash when the window is resized.",
        "Contributions are welcome; please open an issue first.",
        "Light travels about 300,000 kilometres per second.",
        "The course teaches statistics to beginners and needs no prior knowledge.",
        "Use the --verbose flag to see more output.",
        "A raven can remember faces for years.",
        "Tickets for the concert are available online.",
    ),
    "b": (
        "The package ships type hints and supports Python 3.11 and later.",
        "The Danube passes through four capitals.",
        "Click on Export to save the chart as an image.",
        "New in our shop: wool socks in six colours.",
        "Raises ValueError when the argument is negative.",
        "Join the open day and meet the teachers.",
        "Bees dance to tell each other where flowers are.",
        "Bug fixes: the menu no longer flickers.",
        "Licensed under the Apache License, version 2.0.",
        "The treaty was signed in 1648 and ended the war.",
        "Set the environment variable before you start the server.",
        "The film won two awards at the festival.",
        "To build from source you need a C compiler.",
        "Sourdough needs time, flour, water and salt.",
    ),
    "c": (
        "The function sorts the list in place and returns None.",
        "Penguins live in the southern hemisphere.",
        "Download the archive and unpack it anywhere.",
        "Open on Sundays from ten to four.",
        "Fixed: tooltips are shown on touch screens, too.",
        "The river is 230 km long.",
        "Pass a callback to be told about progress.",
        "Bring your own cup and get a discount.",
        "The symphony has four movements.",
    ),
}


def prose(chosen: str, seed: int, each: int = 3) -> Iterator[Case]:
    """Yield sentences of the four labels that only their meaning tells apart."""
    chance = random.Random(seed)
    for template in _PATIENT[chosen]:
        for _ in range(each * 2):
            yield Case(_filled(template, chosen, chance), "health of somebody", "CRITICAL")
    for template in _KNOWLEDGE[chosen]:
        for _ in range(each):
            yield Case(_filled(template, chosen, chance), "health of nobody", "PUBLIC or INTERNAL")
    for text in _INTERNAL[chosen]:
        yield Case(text, "internal", "INTERNAL")
    for text in _PUBLIC[chosen]:
        yield Case(text, "public", "PUBLIC")


def _filled(template: str, chosen: str, chance: random.Random) -> str:
    ill, drug = chance.choice(_ILLNESS[chosen]), chance.choice(_DRUG[chosen])
    told = ill.removeprefix("a ").removeprefix("an ")
    values = {"ill": ill, "drug": drug, "Ill": told[0].upper() + told[1:], "Drug": drug.capitalize()}
    return template.format(name=chance.choice(NAMES[chosen]), **values)
