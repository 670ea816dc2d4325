"""What attacks on an agent say: rules with a reason, for texts in lower case.

Each rule has a weight in log-odds. Rules of weight ``STRONG`` are attacks by themselves; the others add up with one
another and with the linear model. Patterns are RE2, on folded lower-case text.

Sources of the families: OWASP Top 10 for LLM applications 2025 (LLM01, LLM02, LLM06, LLM07), OWASP Agentic 2026
(ASI01, ASI02, ASI06); Greshake et al., "Not what you've signed up for" (2023) for the indirect ones.
"""

from __future__ import annotations

from typing import NamedTuple

#: Enough to be called an attack alone.
STRONG = 5.0


class ThreatRule(NamedTuple):
    """One sign of an attack."""

    id: str
    family: str
    #: Log-odds that it adds.
    weight: float
    pattern: str
    explanation: str
    #: Counts only in tool output, memory and artifacts, where instructions have no business.
    indirect_only: bool = False


_IGNORE = (
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget|discard|override|overrule|neglect|bypass|abandon|overlook|erase|"
    r"drop|"
    r"do(?: not|n't) (?:follow|obey|listen to)|stop (?:following|obeying)|pay no attention to|never mind|set aside|"
    r"throw (?:out|away)|skip over|cancel|leave behind)"
)
_EARLIER = (
    r"(?:previous|prior|above|preceding|earlier|initial|original|former|foregoing|existing|past|before|current|"
    r"other|system|developer|safety|ethical|moral|content|openai'?s?)"
)
ORDERS = (
    r"(?:instructions?|directions?|prompts?|rules?|guidelines?|guidance|commands?|orders?|directives?|constraints?|"
    r"restrictions?|programming|training|policy|policies|filters?|safeguards?|guardrails?|protocols?|statements?|"
    r"messages?|text|context|conversations?|tasks?|requests?|standards?|principles)"
)
_NO_LIMITS = (
    r"(?:no|without(?: any)?|free (?:of|from)(?: all| any)?|not bound by(?: any)?|ignor\w+(?: all| any)?|"
    r"unbound by|zero|beyond|drop(?: all)?)"
    r" (?:\w+,? (?:or |and )?){0,2}?(?:restrictions?|limits|limitations?|filters?|filtering|rules|guidelines|"
    r"censorship|polic(?:y|ies)|ethics|"
    r"morals?|morality|boundaries|constraints|safeguards|guardrails|disclaimers|warnings|inhibitions)"
)
_PROMPT = (
    r"(?:(?:(?:system|initial|original|hidden|starting|secret|internal|developer|underlying|own|previous|prior|above|"
    r"configuration|start-?up|set-?up) ){1,3}(?:system )?(?:prompts?|instructions?|directives?|rules|guidelines)|"
    r"(?:(?:full|entire|first|base|exact|current|pre-?set|given|whole|complete) ){1,2}(?:system )?(?:prompts?|"
    r"instructions?)|"
    r"(?:system|developer|hidden|initial) (?:message|configuration|text))"
)
_TELL = (
    r"(?:reveal|show|print|output|display|repeat|tell|give|write|dump|expose|leak|provide|share|copy|return|recite|"
    r"quote|disclose|paste|echo|spell[- ]?check|translate|encode|summari[sz]e|paraphrase|list|recall|state|"
    r"what(?:'s| is| are| was| were)|"
    r"rot13|explain|send|see|read|append|include)"
)
RULES: tuple[ThreatRule, ...] = (
    ThreatRule("override.ignore", "prompt_injection", STRONG,
        rf"\b{_IGNORE} (?:(?:all|any|every|each|one|the|your|these|those|my|of|and|to|such|"
        rf"both) ){{0,4}}(?:\w+ (?:and|or|"
        rf"&) )?{_EARLIER}(?: \w+){{0,2}} {ORDERS}\b",
        "tells the model to set its earlier instructions aside"),
    ThreatRule("override.above", "prompt_injection", STRONG,
        rf"\b{_IGNORE} (?:(?:all|any|every|the|your|of|these) ){{0,3}}(?:{ORDERS} )?(?:(?:that |"
        rf"which )?(?:you (?:were|have been|had been|got|have)|i|they|we) "
        rf"(?:\w+ ){{0,3}}(?:before|above|earlier|given|told|so far)|(?:written |stated |"
        rf"listed )?above\b(?: (?:and|,|\.)|[.,:;!]|$))",
        "tells the model to set aside what stands above"),
    ThreatRule("override.everything", "prompt_injection", STRONG,
        rf"\b{_IGNORE} (?:absolutely )?(?:everything|anything|all)(?: (?:else|that|you|i|was|were|is|has|have|been|"
        rf"we|they|of|it)){{0,4}} (?:above|before|told|said|"
        rf"learned|know|knew|written|previously|prior|earlier|preceding|until now)",
        "tells the model to forget everything before"),
    ThreatRule("override.your_rules", "prompt_injection", STRONG,
        rf"\b{_IGNORE} (?:all (?:of )?|any (?:of )?)?(?:your|openai'?s?) (?:\w+ ){{0,2}}(?:{ORDERS}|"
        rf"creators?|developers?)\b",
        "tells the model to drop its rules"),
    ThreatRule("override.rest", "prompt_injection", STRONG,
        r"\b(?:ignore|disregard|skip) (?:all |any )?(?:the )?(?:rest of (?:this|the) (?:data|document|text|page|"
        r"file|message|input)|remaining (?:data|text|document)|"
        r"(?:other )?info(?:rmation)? except|negative (?:indicators|points|aspects)|user'?s? (?:task|request|"
        r"question|instructions?)|translation)",
        "tells the reader to drop the rest of the data or the user's task"),
    ThreatRule("override.all_instructions", "prompt_injection", 3.0,
        rf"\b{_IGNORE} (?:all |any |every |each |one |of |these |the |those ){{0,4}}(?:instructions?|directions?|"
        rf"rules|guidelines|"
        rf"prompts?)\b",
        "tells the reader to ignore instructions"),
    ThreatRule("override.new_orders", "prompt_injection", 4.0,
        r"\byour (?:new|real|actual|true|updated|only|sole|secret) (?:system )?(?:instructions?|directives?|orders|"
        r"objective|goal|task|system prompt|mission|purpose|job)\b|\b(?:new|real|actual|true|updated|"
        r"secret) (?:system )?"
        r"(?:instructions?|directives?|orders|objective|task|system prompt)(?: ?:| follows?\b| supersedes?\b|"
        r" replaces?\b)",
        "claims to bring new instructions"),
    ThreatRule("override.rules_changed", "prompt_injection", 4.0,
        r"\byour (?:\w+ )?(?:rules|instructions|guidelines|policies|polic(?:y|ies)|programming|configuration|"
        r"training|restrictions|evaluation criteria) (?:have|has|had) (?:been |now )?"
        r"(?:changed|updated|revoked|removed|lifted|replaced|reset|expired|modified)|\byou (?:may )?now (?:allow|"
        r"answer|discuss|obey|follow|work for|have no)\b",
        "claims that the model's rules have changed"),
    ThreatRule("override.void", "prompt_injection", 4.0,
        rf"\b(?:no longer|not|don't) (?:have|need) to (?:follow|obey|adhere to|comply with|"
        rf"respect)(?: \w+){{0,3}} {ORDERS}\b|"
        rf"\b(?:earlier|previous|prior|above|your|all)(?: \w+)? {ORDERS} (?:\w+ ){{0,2}}(?:are|is|were|was|"
        rf"have been|has been) (?:now )?"
        r"(?:void|cancell?ed|suspended|revoked|lifted|obsolete|a joke|a test|only a (?:test|joke|drill)|"
        r"no longer valid)\b|"
        r"\bas (?:if|though) (?:your |the |any )?(?:safety|content|ethical|moral|no)\b[^\n.!?]*\b(?:never|not|"
        r"no longer|existed|did)\b",
        "says that the rules no longer hold"),
    ThreatRule("override.stop", "prompt_injection", 4.0,
        r"\b(?:stop everything (?:you|and|else|now)|stop (?:what|whatever) you|stop[.!]+ (?:now|ignore|forget)|"
        r"nevermind\b[.,]? (?:ignore|just|instead|simply)|never mind\b[.,]? (?:ignore|just|instead|simply)|"
        r"forget (?:the|this|that) (?:task|question|above))",
        "breaks off the task at hand"),
    ThreatRule("override.disabled", "jailbreak", STRONG,
        r"\b(?:safety|content|security|ethical|moral) (?:\w+ )?(?:protocols?|filters?|checks?|layers?|rules|"
        r"guidelines|polic(?:y|ies)|measures|restrictions|training|controls)(?: \w+){0,3} (?:disabled|off|"
        r"deactivated|down|lifted|removed|suspended|bypassed|not meant|no longer)\b|"
        r"\b(?:disable|turn off|deactivate|remove|lift|bypass|suspend|drop|skip|circumvent) (?:all |any |your |"
        r"the |every ){0,3}(?:safety|content|ethical|moral|security)(?: \w+)? (?:protocols?|filters?|checks?|"
        r"rules|guidelines|polic(?:y|ies)|measures|restrictions|layers?|training)",
        "says that safety measures are off"),
    ThreatRule("jailbreak.no_limits", "jailbreak", 4.0,
        rf"\b(?:you(?:'re| are| will| have| can| must| now| should)|act(?:ing)?|ai\b|model|respond|answer|reply|"
        rf"mode|persona|character|chatbot|assistant|comply|behave|dan|gpt|simulat\w+|emulat\w+|"
        rf"machine)[^\n.!?]*\b{_NO_LIMITS}",
        "asks for a model without limits"),
    ThreatRule("jailbreak.unfiltered", "jailbreak", 4.0,
        r"\b(?:unfiltered|uncensored|unrestricted|unlimited|amoral|unethical|jailbroken|unbound|unmoderated|"
        r"unchained|limitless)(?:,? (?:and )?\w+){0,2} (?:ai|model|assistant|chatbot|response|answer|version|"
        r"mode|persona|language|bot|being|output|machine|character|storyteller)|"
        r"\b(?:ai|model|assistant|chatbot|persona|bot)(?: \w+){0,4} (?:unfiltered|uncensored|unrestricted|amoral|"
        r"jailbroken|unethical)\b|\bhow (?:it|that|this) (?:is|was) unfiltered\b",
        "asks for an unfiltered model"),
    ThreatRule("jailbreak.dan", "jailbreak", STRONG,
        r"\bdo anything now\b|\b(?:act|acting|behave|respond|answer|pretend|roleplay|be) (?:as|like|"
        r"to be) (?:\w+ )?(?:dan|stan|dude|aim|jailbreak|evil ?bot|evil confidant|betterdan|devmode|"
        r"niccolo machiavelli)\b|\b(?:god|dan|jailbreak|evil|opposite|anarchy|chaos|uncensored|sudo|"
        r"unrestricted|developer) mode (?:enabled|activated|on\b|output|response|:)|"
        r"\b(?:enable|enter|activate|in|into|with|simulate|start) (?:\w+ )?(?:god|dan|jailbreak|evil|unrestricted|"
        r"uncensored|developer|maintenance) mode\b(?:[^\n.!?]*\b(?:no|without|ignore|display|disabled|"
        r"reveal|anything)\b)|\banti-?dan\b|\bdan(?:'s)? (?:virtual|has no|has been|can|will|is|does)\b",
        "names a known jailbreak persona or mode"),
    ThreatRule("jailbreak.never_refuse", "jailbreak", 3.5,
        r"\b(?:never|cannot|can't|will not|won't|must not|do not|don't|not allowed to|not) (?:ever )?(?:refuse|"
        r"decline|reject|say (?:no|sorry|it can'?t|you can'?t|that you can'?t|that you cannot|\"?i(?:'m|"
        r" am) sorry|\"?i can'?t|\"?i cannot)|apologi[sz]e|deny)\b|"
        r"\b(?:comply with|obey|fulfil+|answer|follow|grant|do|carry out|accept) (?:to )?(?:absolutely )?(?:every|"
        r"any|all|each|anything|everything)(?: of)?(?: (?:my|the|user|users?'?s?|single)){0,2} (?:requests?|"
        r"commands?|orders?|demands?|wish(?:es)?|questions? (?:without|no matter)|i (?:say|ask|want|tell)|"
        r"the user (?:asks|wants|says))|\b(?:refusal|refusing|saying no) is (?:not (?:an option|possible|allowed)|"
        r"forbidden)|\bcomply with (?:anything|everything|whatever)\b",
        "demands that the model never refuses"),
    ThreatRule("jailbreak.character", "jailbreak", 3.0,
        r"\b(?:stay|remain|keep|back) in character\b|\bbreak(?:ing)?(?: out of)? character\b|\bstay a dan\b|"
        r"\byou (?:are|will be) (?:now )?(?:going to )?(?:play|act|pretend|roleplay|simulat|impersonat|"
        r"embod)\w*",
        "binds the model to a persona"),
    ThreatRule("jailbreak.two_answers", "jailbreak", 4.0,
        r"\b(?:two|2|both|dual) (?:different |separate |distinct )?(?:responses?|answers?|ways|paragraphs|outputs|"
        r"messages)\b[^\n.!?]*\b(?:normal|standard|chatgpt|gpt|classic|filtered|unfiltered|dan|jailbr|without|"
        r"policy|uncensored)|\[[^\]a-z0-9]{0,3}(?:jailbreak|dan|classic|unfiltered|gpt|chatgpt|aim|"
        r"normal|raw|uncensored)(?: output| mode)?[^\]a-z0-9]{0,3}\]",
        "asks for a second answer outside the policy"),
    ThreatRule("jailbreak.as_ai", "jailbreak", 3.0,
        r"\b(?:you are|you're|act as|acting as|pretend (?:to be|you are|that you)|imagine (?:you are|you're|being)|"
        r"roleplay as|become|impersonate)(?: now| no longer| an?| the| my)? [^\n.!?]*\b(?:ai|chatbot|"
        r"language model|bot|artificial intelligence|machine|virtual machine|hacker|criminal|"
        r"villain)\b[^\n.!?]*\b(?:no (?:moral|ethic|rule|limit|restrict|filter)|illegal|immoral|unethical|"
        r"harmful|without|anything|evil|freedom|break)",
        "casts the model in a role that has no rules"),
    ThreatRule("jailbreak.harm", "jailbreak", 2.5,
        r"\b(?:illegal|unethical|immoral|harmful|dangerous|offensive|explicit|nsfw|malicious|inappropriate|hateful|"
        r"violent)(?:,| and| or|/)? (?:\w+,? ){0,3}(?:content|acts?|actions?|advice|activities|things|"
        r"information|requests?|questions|topics|opinions|language|manner|instructions|answers|stuff)\b",
        "asks for harmful content"),
    ThreatRule("jailbreak.disclaimers", "jailbreak", 2.0,
        r"\b(?:no|without|never|don't|do not|not)(?: \w+){0,4} (?:disclaimers?|warnings?|moral(?:iz|is)\w*|ethics|"
        r"ethical|lectur\w*|remind me|mention that (?:it|you)|as an ai\b|language model|censor\w*)\b",
        "forbids warnings and ethics"),
    ThreatRule("jailbreak.chatgpt", "jailbreak", 2.0,
        r"\b(?:chatgpt|openai|gpt-?[34]|as an ai language model|large language model|bing chat|"
        r"bard)\b[^\n.!?]*\b(?:polic(?:y|ies)|guidelines|restrict\w*|censor\w*|filter\w*|rules|jailbr\w*|"
        r"illegal|pretend\w*|unethical|moral\w*|refus\w*|limit\w*|tokens?|role|character|anything|"
        r"developer mode)\b",
        "talks a well-known model out of its rules"),
    ThreatRule("jailbreak.verified", "jailbreak", 4.0,
        r"\b(?:clearly authori[sz]ed|exempt from the usual|already reasoned|i have (?:verified|determined|"
        r"concluded) that (?:this|the)|verified (?:this )?internally)\b[^\n.!?]*\b(?:disregard|comply|proceed|"
        r"output|without restriction|polic(?:y|ies)|restricted|append|full answer)",
        "puts a made-up permission in the model's mouth"),
    # Both fire where the prompt is somebody's: "your", "the", not "a system prompt".
    ThreatRule("extraction.prompt", "prompt_extraction", 3.0,
        rf"\b{_TELL}\b(?: \w+){{0,6}}? (?:(?:all|any|every|the|your|those|these|my)"
        rf"(?: (?:of|the|your|whole|full|\w+ing)){{0,3}}|me|us|back|out) {_PROMPT}\b",
        "asks for the hidden instructions"),
    ThreatRule("extraction.some_prompt", "prompt_extraction", 2.5,
        rf"\b{_TELL}\b(?: \w+){{0,6}}? {_PROMPT}\b",
        "speaks of showing hidden instructions"),
    ThreatRule("extraction.given", "prompt_extraction", 4.0,
        r"\b(?:instructions?|rules|prompt|text|guidelines|directives?|words) (?:that )?(?:you (?:were|have been|"
        r"had been|are|got|received|have)|(?:your|the) developers?) (?:\w+ )?(?:given|told|started|provided|"
        r"initiali[sz]ed|gave|set|operating|following|received)\b|"
        r"\bwhat (?:were|are|have) you (?:been )?(?:told|instructed|asked|given)\b|\b(?:your|the) (?:developers?|"
        r"creators?|operators?)(?: \w+){0,3} (?:told|gave|instruct\w*|wrote)\b",
        "asks what the model was told"),
    ThreatRule("extraction.above", "prompt_extraction", STRONG,
        r"\b(?:repeat|print|output|return|copy|show|display|recite|write|translate|encode|summari[sz]e|paste|"
        r"give me)(?: \w+){0,4} (?:the )?(?:words|text|everything|anything|content|lines?|conversation|"
        r"messages?|sentences?)(?: \w+){0,2} (?:above|before this|before th(?:is|e) chat|prior to|preced(?:es|ing)|"
        r"at the beginning|in your context)\b|\brepeat the above\b|"
        r"\b(?:start(?:ing|s)?|begin(?:ning|s)?)(?: \w+){0,2} with:? ['\"]?(?:you are|my instructions|"
        r"i was instructed)\b|\bwritten (?:above|before) this\b|\bcontext window\b[^\n.!?]*\b(?:system|"
        r"verbatim|output|print)|\b(?:output|print|dump|reveal|show)\b[^\n.!?]*\bcontext window\b",
        "asks to repeat what stands before the conversation"),
    ThreatRule("extraction.system_prompt", "prompt_extraction", 2.0,
        r"\b(?:your|the|hidden|full|entire) (?:system ?prompt|system message|initial prompt|hidden prompt|"
        r"pre-?prompt|initiali[sz]ation (?:string|prompt))\b|\bsystemprompt\b|\bsystem (?:instructions|"
        r"configuration)\b|\binitiali[sz]ation string\b",
        "speaks of the system prompt"),
    ThreatRule("extraction.instructions", "prompt_extraction", 3.0,
        r"\byour (?:initial|original|starting|exact|hidden|secret|own|previous) (?:instructions?|prompt|rules)\b|"
        r"\bwhat are your (?:\w+ )?(?:instructions|rules|directives)\b|\bi was instructed to\b|"
        r"\bword for word\b[^\n.!?]*\b(?:prompt|instruction|conversation)|\b(?:conversation|prompt|"
        r"instructions?)\b[^\n.!?]*\b(?:word for word|verbatim)\b",
        "asks for the model's own instructions"),
)  # fmt: skip
