"""Health data tied to a person.

A medical term alone is knowledge; beside a person it is a diagnosis. The term comes from lists of conditions,
medicines (also by their WHO stems, "The use of stems in the selection of INN") and clinical events; the tie from
:mod:`detect_people`. Sentences about patients in general, leaflets and statistics are left alone.
"""

from __future__ import annotations

import re

from metaqore.security.detect_marks import BLANK
from metaqore.security.detect_patterns import Match
from metaqore.security.detect_people import Tie, person_in
from metaqore.security.detect_rule import Hit, Rule, Words, one_line
from metaqore.security.model import Label

_CONDITIONS = r"""
    (?:has|have|had|with|from|of|about|for|suspected|his|her|my|early|late|against|by) (?:alzheimer|asperger|crohn|
    cushing|hashimoto|hodgkin|huntington|meniere|parkinson|sjogren|tourette)(?:'?s)?|(?:alzheimer|asperger|crohn|
    cushing|hashimoto|hodgkin|huntington|meniere|parkinson|sjogren|tourette)(?:(?:'?s)? (?:disease|syndrome|
    lymphoma)|'s)|\w{3,}itis|\w{4,}(?:aemia|ectomy|algia|plegia|opathy|ostomy)|(?:thromb|scler|fibr|necr|psych|neur|
    scoli|stenos|tubercul|acid|ket)osis|high blood pressure|acid reflux|gerd|(?:ovarian |breast )?cysts?|fasciitis|
    carpal tunnel|slipped disc|hay fever|broken (?:leg|arm|hip|wrist|ankle|rib|nose|collarbone|bone)|(?:lactose|
    gluten) intolerant|intolerance|(?:personality|eating|bipolar|anxiety|sleep|mood|panic|autoimmune|genetic|blood|
    attention deficit) disorder|\w+ (?:syndrome|infection|deficiency)|(?:heart|kidney|liver|lung|thyroid|autoimmune|
    infectious|chronic|celiac|lyme|bowel|skin|eye|gum|bone|blood|terminal) (?:disease|illness|condition)|
    blood sugar|hiv(?:[- ]positive)?|ptsd|adhd|
    krebs(?:erkrankung|leiden|patient\w*)|abortion|acne|addiction|alcohol(?:ism| abuse| dependency)|allerg(?:y|ies|
    ic to)|alopecia|anaemia|anemia|anaphyla\w+|aneurysm|angina|anorexia|anxiety|appendicitis|arrhythmia|
    arteriosclerosis|arthritis|arthrosis|asthma(?:tic)?|astma|atherosclerosis|atrial fibrillation|autis(?:m|tic)|
    bipolar|blindness|bronchitis|bulimia|burn-?out|bursitis|cancer|carcinoma|cardiac arrest|cardiomyopathy|
    cataracts?|celiac|coeliac|cerebral palsy|chemotherapy|chickenpox|chlamydia|cholera|cholesterol|chronic pain|
    cirrhosis|coli(?:tis|c)|concussion|conjunctivitis|coronary|covid(?:-?19)?|cukrzyc[aye]|cystic fibrosis|cystitis|
    deafness|dementia|dengue|depress(?:ion|ive)|depresj[aie]|dermatitis|dialysis|diabet(?:es|ic)|diabete|
    diverticulitis|down(?:'?s)? syndrome|dyslexia|dystrophy|eczema|ectopic|embolism|emphysema|endometriosis|
    encephalitis|epilep(?:sy|tic|sie)|erectile dysfunction|fertility|fibroids|fibromyalgia|fractured?|gallstones|
    gastritis|gastroenteritis|glaucoma|goit(?:er|re)|gonorrh?oea|gout|grippe|guillain-barre|haemophilia|hemophilia|
    haemorrhage|heart (?:attack|failure|disease|condition|murmur)|hepatitis|hernia|herniated disc|herpes|
    hypertension|hyperthyroid\w*|hypotension|hypothyroid\w*|hypoglyc\w+|hysterectomy|infarct\w*|infertility|
    influenza|insomnia|insulin|jaundice|kidney (?:stones?|failure|disease)|leukaemia|leukemia|lupus|
    lyme(?: disease)?|lymphoma|lymphoedema|malaria|mastectomy|measles|melanoma|meningitis|menopause|
    mental (?:illness|health|breakdown)|migraines?|miscarriage|mononucleosis|ms relapse|multiple sclerosis|mumps|
    muscular dystrophy|myocardi\w+|myeloma|narcolepsy|nephritis|neuropathy|neuroblastoma|norovirus|obesity|
    obsessive[- ]compulsive|osteoarthritis|osteoporosis|overdosed?|pacemaker|pancreatitis|panic (?:attacks?|
    disorder)|paraly[sz]ed?|paralysis|paranoia|pcos|pericarditis|pneumonia|polio|postpartum|pregnan(?:t|cy)|
    prostate|pre-?eclampsia|psoriasis|psychosis|psychotic|pulmonary|radiotherapy|raynaud(?:'?s)? syndrome|rheuma\w*|
    rhinitis|rosacea|salmonella|sarcoidosis|sarcoma|scarlet fever|scabies|schizo\w+|sciatica|scoliosis|seizures?|
    self[- ]harm|sepsis|shingles|sickle[- ]cell|sinusitis|sleep apn(?:o?ea)|spina bifida|spondyl\w+|stroke|
    substance abuse|suicid(?:e|al)|syphilis|tachycardia|tetanus|thalassa?emia|thrombo(?:sis|cytopenia)|thyroid\w*|
    tinnitus|tonsillitis|transplant|tubercul\w+|tumou?rs?|type [12] diabetes|typhoid|ulcer(?:s|ative)?|urticaria|
    varicose|vertigo|vitiligo|zawal|nowotwor|bialaczk\w+|padaczk\w+|gruzlic\w+|zapaleni\w+ (?:pluc|watroby)|
    krebserkrankung|schlaganfall|lungenentzundung|herzinfarkt|bluthochdruck|schwanger\w*|depressionen|cancer du \w+|
    \w{2,}(?:blastoma|adenoma|fibroma|angioma|ningioma|granuloma|sarcoma)|glioma|lipoma|(?:hip|knee) replacement|
    cukrovk\w+|rakovin\w+|mrtvic\w+|deprese|zapal plic|
    hepatite|grossesse|enceinte|asthme|tuberculose|sclerose en plaques|crise cardiaque|
    polyarthrite|arthrose|cardiopathie|insuffisance (?:cardiaque|renale)|epilepsie|depression nerveuse|avc|
    neumonia|cancer de \w+|diabete[cs]|hipertension|depresion|asma|epilepsia|embaraz\w+|infarto|ictus|leucemia|
    esclerosis multiple|artritis|artrosis|insuficiencia (?:cardiaca|renal)|trastorno \w+|ansiedad|
    polmonite|depressione(?: maggiore)?|ipertensione|diabete mellito|asma bronchiale|tumore|sclerosi multipla|
    gravidanza|insufficienza (?:cardiaca|renale)|artrite|
    zapaleni\w+ \w+|nadcisnieni\w+|astm[ay]|depresj\w+|rak (?:piersi|pluca|jelita|prostaty)|udar\w*|ciaz[ay]|
    miazdzyc\w+|choroba (?:wiencowa|parkinsona|alzheimera|afektywna)|
    zuckerkrankheit|hypertonie|herzinsuffizienz|krebs|brustkrebs|lungenkrebs|darmkrebs|epilepsie|rheuma|
    bandscheibenvorfall(?:s|es)?|schlaganfall(?:s|es)|herzinfarkt(?:s|es)|nierenversagen|demenz|angststorung|essstorung|
    longontsteking|suikerziekte|hartinfarct|hartfalen|beroerte|borstkanker|longkanker|kanker|zwanger(?:schap)?|
    pneumonia bilateral|pressao alta|gravidez|grav(?:ida)?|diabetes mellitus|lunginflammation|hjartinfarkt|brostcancer
"""
_MEDICINES = r"""
    \w{2,}(?:statin|sartan|olol|dipine|prazole|oxetine|azepam|azolam|cillin|mycin|floxacin|cycline|gliptin|glutide|
    gliflozin|formin|parin|mab|tinib|ciclib|prost|caine|triptan|setron|vudine|vir|tadine|codone|morphone|barbital|
    oxacin|conazole|profen|dronate|lukast|tidine|triptyline|ipramine|thiazide|semide|xaban|gatran|grel|taxel|
    rubicin|platin|trexate|zumab|ximab|tamab|phylline|terol|sonide|metasone|olone|pril|predniso\w*|afil|stigmine|
    racetam|giline|traline|azosin|fibrate|glitazone|vaptan|mustine|nidazole|bactam|penem|kinra|parib|lisib|rafenib|
    fenac|coxib|oxicam|curium|zolamide|lactone|zepine|gestrel|pram|faxine|peridol|apine|idone|piprazole)|tamoxifen|
    lamotrigine|warfarin|aspirin|paracetamol|
    acetaminophen|ibuprofen|tramadol|morphine|fentanyl|methadone|lithium carbonate|(?:takes?|with|started|taking|
    prescribed|on) lithium|valproate|valproic|levothyroxine|salbutamol|ventolin|albuterol|prozac|zoloft|xanax|
    valium|ritalin|adderall|methylphenidate|gabapentin|pregabalin|phenytoin|carbamazepine|topiramate|sulfasalazine|
    hydroxychloroquine|letrozole|anastrozole|digoxin|amiodarone|nitroglycerin|clopidogrel|ozempic|wegovy|viagra|
    bupropion|mirtazapine|trazodone|zolpidem|ropinirole|levodopa|donepezil|memantine|colchicine|allopurinol|
    interferon|antiretrovirals?|antidepressants?|antipsychotics?|chemo|estradiol|testosterone|progesterone|naloxone|
    buprenorphine|disulfiram|isotretinoin|epipen|oxycontin|percocet|vicodin|humira
"""
_EVENTS = r"""
    diagnos(?:ed|is|es|tic)|prognosis|biopsy|mri (?:scan|results?)|ct scan|blood (?:test|results?|group|type|
    pressure)|lab results?|test(?:ed)? (?:results? )?positive|positive for|hospitali[sz]ed|
    admitted to (?:the )?(?:hospital|icu|ward|clinic)|discharge (?:note|summary|letter)|surgery|operated on|
    prescri(?:bed|ption)|(?:psycho|physio)?therap(?:y|ist)|rehab|oncolog\w+|psychiatr\w+|cardiolog\w+|
    medical (?:history|records?|leave|condition|certificate)|sick (?:leave|note)|icd-?10|health condition|
    diagnosen|diagnostiziert|diagnostique|diagnosticad[oa]|zdiagnozowan\w+|krankgeschrieben|krankschreibung|
    arbeitsunfahig|arret maladie|baja medica|zwolnienie lekarskie|
    disabilit(?:y|ies)|disabled|wheelchair|symptoms?|allergic reaction|relapse
"""
#: What says that something happened to somebody, near a term and a weak tie.
_HAPPENED = Words(
    r"""
    diagnos\w+|prescri\w+|positive|treat(?:ed|ment)|takes?|taking|took|told|confirmed|came in|admitted|suffers?|
    suffering|leave|appointment|results?|therapy|surgery|operation|recover\w+|relapse|started on|has|have|had|was|
    because of|due to|absent|off sick|sick|symptoms?|history of|living with|tested|claim|insurance|doctor|
    hospital|clinic|dose|mg|medication|asked|needs?|hr|follow-?up|discharge\w*|patient|disclosed|revealed|
    mentioned|informed|reported|underwent|scans?|shows?|showed|test|suspect\w*|collapsed|started|notes?|being|
    put|came back|off work|lives? with|cope[sd]?|
    struggl\w+|account of|since|called|visit\w*|booked|having|undergo\w*|gets?|getting|consistent with|finding|
    krankgeschrieben|arbeitsunfahig|arret maladie|baja medica|zwolnieni\w+|seen today|review|
    diagnose\w*|diagnostico|diagnostic|diagnosi|rozpoznanie|zalecenia|behandlung|medikation|traite\w*|tratamiento|
    affett[ao]|in cura|leidet|erkrankt|souffre|atteinte?|sufre|padece|soffre|choruje|cierpi|lijdt|lider av|
    exam\w*|surgeon|x-?ray|allergic|allerg\w+|cannot|can't|stay|paramedics?
    """
)
#: Talk about people in general.
_GENERAL = Words(
    r"""
    (?:patients|people|adults|children|men|women|persons|those|individuals|cases|millions?|population|anyone|
    everyone)[ ](?:\w+ ){0,3}(?:with|who|are|have|suffer\w*|living|of|under|over|in|should)|
    leaflet|encyclop\w+|wikipedia|textbook|guideline|public health|studies|study shows|research|statistics|article|
    symptoms of|risk of|awareness|prevention|vaccin\w+|epidemiolog\w+|
    is a (?:\w+ ){0,3}(?:disease|condition|disorder|drug|medicine|medication|illness)
    """
)
#: What is said of people who are known for their work on an illness, and what of one who is ill.
_KNOWLEDGE = Words(
    r"""
    discover\w*|nobel|inventor|invented|pioneer\w*|described the|professor|researcher|scientist|physicist|chemist|
    biologist|historian|author of|founded|foundation|named after|biography|novel|prizes?|museum|nobel prize|won
    """
)
_TREATED = Words(
    r"""
    diagnos\w+|prescri\w+|patient|suffer\w*|takes|taking|treated|surgery|sick|leave|hospital|clinic|doctor|
    has|had|my|our|admitted|medication|dose|mg|died|was told|positive|relapse|symptoms
    """
)
_REACH = 150


#: A name of a field whose value was taken out.
_TAKEN_OUT = re.compile(rf"['\":=\s]*{BLANK}{{6}}")


def _is_name(text: str, match: Match) -> bool:
    """True for Lisa Parkinson's number, and for Frederic Krebs: a name, not what is called so."""
    given = re.search(r"[A-Z][a-z]+ $", text[max(0, match.start - 20) : match.start])
    if given is None:
        return False
    return match.text.lower().endswith("'s") or (
        match.text.istitle() and person_in(given[0] + match.text) is Tie.STRONG
    )


def _term(kind: str, weight: float) -> Rule:
    def judge(text: str, match: Match) -> Hit | None:
        if _is_name(text, match) or _TAKEN_OUT.match(text, match.end):
            return None
        start, end = max(0, match.start - _REACH), match.end + _REACH
        near = text[start:end]
        tie = person_in(near)
        if tie is Tie.STRONG and _KNOWLEDGE.occur(near) and not _TREATED.occur(near):
            return None
        if tie is Tie.NONE or (tie is Tie.WEAK and not _HAPPENED.occur(near)):
            return None
        if kind == "health_event" and (tie is Tie.WEAK or not _MEDICAL_COMPANY.occur(near.replace(match.text, " ", 1))):
            return None
        if _GENERAL.occur(near) and tie is not Tie.STRONG:
            return None
        return Hit("health", Label.CRITICAL, weight if tie is Tie.STRONG else weight - 0.15, match.start, match.end)

    return Rule(f"health.{kind}", _PATTERNS[kind], judge)


_PATTERNS = {
    "condition": rf"(?i)\b(?:{one_line(_CONDITIONS)})\b",
    # Apart, for they are short enough to be in many words.
    "acronym": r"\b(?:AIDS|ALS|IBS|OCD|UTI|STI|STDs?|COPD|IVF|PCOS)\b",
    "medicine": rf"(?i)\b(?:{one_line(_MEDICINES)})\b",
    "health_event": rf"(?i)\b(?:{one_line(_EVENTS)})\b",
}
_MEDICAL_COMPANY = Words(
    r"""
    hospital|clinic|doctor|dr|patient|symptoms?|treatment|medication|illness|disease|therapy|ward|nurse|blood|
    surgery|diagnos\w+|prescri\w+|dose|mg|medical|health|condition|sick|gp|icd|injur\w+|chronic|disorder|
    disabilit\w+|oncolog\w+|psychiatr\w+
    """
)

RULES: tuple[Rule, ...] = (
    _term("condition", 0.95),
    _term("acronym", 0.95),
    _term("medicine", 0.9),
    _term("health_event", 0.85),
)
