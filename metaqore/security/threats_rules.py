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
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget|discard|override|overrule|neglect|bypass|abandon|overlook|erase|drop|"
    r"do(?: not|n't) (?:follow|obey|listen to)|stop (?:following|obeying)|pay no attention to|never mind|set aside)"
)
_EARLIER = (
    r"(?:previous|prior|above|preceding|earlier|initial|original|former|foregoing|existing|past|before|current|"
    r"other|system|"
    r"developer|safety|ethical|moral|content|openai'?s?)"
)
_ORDERS = (
    r"(?:instructions?|directions?|prompts?|rules?|guidelines?|commands?|orders?|directives?|constraints?|"
    r"restrictions?|"
    r"programming|training|policy|policies|filters?|safeguards?|guardrails?|protocols?|statements?|messages?|text|"
    r"context|"
    r"conversations?|tasks?|requests?|standards?|principles)"
)
_NO_LIMITS = (
    r"(?:no|without(?: any)?|free (?:of|from)(?: all| any)?|not bound by(?: any)?|ignor\w+(?: all| any)?|"
    r"unbound by|zero|beyond|drop(?: all)?)"
    r" (?:\w+,? (?:or |and )?){0,3}?(?:restrictions?|limits?|limitations?|filters?|filtering|rules|guidelines|"
    r"censorship|polic(?:y|ies)|ethics|"
    r"morals?|morality|boundaries|constraints|safeguards|guardrails|disclaimers|warnings|inhibitions)"
)
_PROMPT = (
    r"(?:(?:system|initial|original|hidden|starting|secret|internal|developer|underlying|full|entire|first|base|"
    r"previous|prior|above|"
    r"own|exact|current|pre-?set|given) ){1,3}(?:system )?(?:prompts?|instructions?|message|directives?|"
    r"configuration|rules|guidelines)"
)
_TELL = (
    r"(?:reveal|show|print|output|display|repeat|tell|give|write|dump|expose|leak|provide|share|copy|return|recite|"
    r"quote|disclose|"
    r"spell[- ]?check|translate|encode|summari[sz]e|paraphrase|list|recall|state|what(?:'s| is| are| was| were)|"
    r"rot13|explain|send|see|read|append|include)"
)
_AI = (
    r"(?:ai|a\.i\.|llms?|language models?|chat-?bots?|bots?|chatgpt|gpt-?\d?|copilot|claude|assistants?|"
    r"ai (?:agents?|assistants?|systems?|models?)|"
    r"(?:coding |autonomous |automated )agents?|automated (?:\w+ ){0,2}(?:systems?|software|reviewers?|scanners?|"
    r"tools?)|screening (?:systems?|software))"
)
_SECRETS = (
    r"(?:customers?|users?'?|clients?|emails?|api keys?|keys|credentials?|passwords?|secrets?|private|confidential|"
    r"personal|database|records|"
    r"conversations?|chat (?:history|logs?)|files?|environment variables|\.env|tokens?|notes|contacts|list|data|dump)"
)

RULES: tuple[ThreatRule, ...] = (
    ThreatRule("override.ignore", "prompt_injection", STRONG,
        rf"\b{_IGNORE} (?:(?:all|any|every|the|your|these|those|my|of|and|to|such|both) ){{0,4}}(?:\w+ (?:and|or|"
        rf"&) )?{_EARLIER}(?: \w+){{0,2}} {_ORDERS}\b",
        "tells the model to set its earlier instructions aside"),
    ThreatRule("override.above", "prompt_injection", STRONG,
        rf"\b{_IGNORE} (?:(?:all|any|every|the|your|of|these) ){{0,3}}(?:{_ORDERS} )?(?:(?:that |"
        rf"which )?(?:you (?:were|have been|had been|got|have)|i|they|we) "
        rf"(?:\w+ ){{0,3}}(?:before|above|earlier|given|told|so far)|(?:written |stated |listed )?above\b)",
        "tells the model to set aside what stands above"),
    ThreatRule("override.everything", "prompt_injection", STRONG,
        rf"\b{_IGNORE} (?:absolutely )?(?:everything|anything|all)(?: (?:else|that|you|i|was|were|is|has|have|been|"
        rf"we|they|of|it)){{0,4}} (?:above|before|told|said|"
        rf"learned|know|knew|written|previously|prior|earlier|preceding|until now)",
        "tells the model to forget everything before"),
    ThreatRule("override.your_rules", "prompt_injection", STRONG,
        rf"\b{_IGNORE} (?:all (?:of )?|any (?:of )?)?(?:your|its|the ai's|openai'?s?) (?:\w+ ){{0,2}}(?:{_ORDERS}|"
        rf"creators?|developers?)\b",
        "tells the model to drop its rules"),
    ThreatRule("override.rest", "prompt_injection", STRONG,
        r"\b(?:ignore|disregard|skip) (?:all |any )?(?:the )?(?:rest of (?:this|the) (?:data|document|text|page|"
        r"file|message|input)|remaining (?:data|text|document)|"
        r"(?:other )?info(?:rmation)? except|negative (?:indicators|points|aspects)|user'?s? (?:task|request|"
        r"question|instructions?)|translation)",
        "tells the reader to drop the rest of the data or the user's task"),
    ThreatRule("override.all_instructions", "prompt_injection", 3.0,
        rf"\b{_IGNORE} (?:all |any |these |the |those ){{0,2}}(?:instructions?|directions?|rules|guidelines|"
        rf"prompts?)\b",
        "tells the reader to ignore instructions"),
    ThreatRule("override.new_orders", "prompt_injection", 4.0,
        r"\b(?:your|the|a|my)? ?(?:new|real|actual|true|updated|only|secret) (?:system )?(?:instructions?|"
        r"directives?|orders|objective|goal|task|system prompt|mission|purpose)"
        r"(?: is\b| are\b|:| supersedes?| replaces?| overrides?| follows?)",
        "claims to bring new instructions"),
    ThreatRule("override.rules_changed", "prompt_injection", 4.0,
        r"\byour (?:\w+ )?(?:rules|instructions|guidelines|policies|polic(?:y|ies)|programming|configuration|"
        r"training|restrictions|evaluation criteria) (?:have|has|had) (?:been |now )?"
        r"(?:changed|updated|revoked|removed|lifted|replaced|reset|expired|modified)|\byou (?:may )?now (?:allow|"
        r"answer|discuss|obey|follow|work for|have no)\b",
        "claims that the model's rules have changed"),
    ThreatRule("override.stop", "prompt_injection", 4.0,
        r"\b(?:stop everything|stop (?:what|whatever) you|stop[.!]+ (?:now|ignore|forget)|"
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
        rf"mode|persona|character|chatbot|assistant|comply|behave|dan|gpt)[^\n.!?]*\b{_NO_LIMITS}",
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
        r"uncensored|developer|maintenance|debug) mode\b(?:[^\n.!?]*\b(?:no|without|ignore|display|disabled|"
        r"reveal|anything)\b)|\banti-?dan\b|\bdan(?:'s)? (?:virtual|has no|has been|can|will|is|does)\b",
        "names a known jailbreak persona or mode"),
    ThreatRule("jailbreak.never_refuse", "jailbreak", 4.0,
        r"\b(?:never|cannot|can't|will not|won't|must not|do not|don't|not allowed to|not) (?:ever )?(?:refuse|"
        r"decline|reject|say (?:no|sorry|it can'?t|you can'?t|that you can'?t|that you cannot|\"?i(?:'m|"
        r" am) sorry|\"?i can'?t|\"?i cannot)|apologi[sz]e|deny)\b|"
        r"\b(?:comply with|obey|fulfil+|answer|follow|grant|do|carry out|accept) (?:to )?(?:absolutely )?(?:every|"
        r"any|all|each|anything|everything)(?: of)?(?: (?:my|the|user|users?'?s?|single)){0,2} (?:requests?|"
        r"commands?|orders?|demands?|wish(?:es)?|questions? (?:without|no matter)|i (?:say|ask|want|tell)|"
        r"the user (?:asks|wants|says))",
        "demands that the model never refuses"),
    ThreatRule("jailbreak.character", "jailbreak", 3.0,
        r"\b(?:stay|remain|keep|back) in character\b|\bbreak(?:ing)?(?: out of)? character\b|\bstay a dan\b|"
        r"\byou (?:are|will be) (?:now )?(?:going to )?(?:play|act|pretend|roleplay|simulat|impersonat|"
        r"embod)\w*",
        "binds the model to a persona"),
    ThreatRule("jailbreak.two_answers", "jailbreak", 4.0,
        r"\b(?:two|2|both|dual) (?:different |separate |distinct )?(?:responses?|answers?|ways|paragraphs|outputs|"
        r"messages)\b[^\n.!?]*\b(?:normal|standard|chatgpt|gpt|classic|filtered|unfiltered|dan|jailbr|without|"
        r"policy|uncensored)|\[(?:[^\]]{0,3})?(?:jailbreak|dan|classic|unfiltered|gpt|chatgpt|aim|"
        r"normal)(?: output| mode)?(?:[^\]]{0,3})?\]",
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
    ThreatRule("extraction.prompt", "prompt_extraction", STRONG,
        rf"\b{_TELL}\b(?: \w+){{0,6}}? (?:me |us |back )?(?:(?:all|any|of|the|your|its|out|those|these|"
        rf"my) ){{0,3}}{_PROMPT}\b",
        "asks for the hidden instructions"),
    ThreatRule("extraction.given", "prompt_extraction", 4.0,
        r"\b(?:instructions?|rules|prompt|text|guidelines|directives?|words) (?:that )?(?:you (?:were|have been|"
        r"had been|are|got|received|have)|(?:your|the) developers?) (?:\w+ )?(?:given|told|started|provided|"
        r"initiali[sz]ed|gave|set|operating|following|received)\b|"
        r"\bwhat (?:were|are|have) you (?:been )?(?:told|instructed|asked|given)\b|\b(?:your|the) (?:developers?|"
        r"creators?|operators?)(?: \w+){0,3} (?:told|gave|instruct\w*|wrote)\b",
        "asks what the model was told"),
    ThreatRule("extraction.above", "prompt_extraction", STRONG,
        r"\b(?:repeat|print|output|return|copy|show|display|recite|write|translate|encode|summari[sz]e|"
        r"give me)(?: \w+){0,4} (?:the )?(?:words|text|everything|anything|content|lines?|conversation|"
        r"messages?|sentences?)(?: \w+){0,2} (?:above|before this|prior to|at the beginning|so far|"
        r"in your context)\b|\brepeat the above\b|"
        r"\b(?:start(?:ing|s)?|begin(?:ning|s)?)(?: \w+)? with:? ['\"]?(?:you are|my instructions|"
        r"i was instructed)\b|\bwritten (?:above|before) this\b|\bcontext window\b[^\n.!?]*\b(?:system|"
        r"verbatim|output|print)|\b(?:output|print|dump|reveal|show)\b[^\n.!?]*\bcontext window\b",
        "asks to repeat what stands before the conversation"),
    ThreatRule("extraction.system_prompt", "prompt_extraction", 2.5,
        r"\b(?:your|the|hidden|full|entire) (?:system ?prompt|system message|initial prompt|hidden prompt|"
        r"pre-?prompt|initiali[sz]ation (?:string|prompt))\b|\bsystemprompt\b|\bsystem (?:instructions|"
        r"configuration)\b|\binitiali[sz]ation string\b",
        "speaks of the system prompt"),
    ThreatRule("extraction.instructions", "prompt_extraction", 3.0,
        r"\b(?:your|the) (?:initial|original|starting|exact|hidden|secret|system|previous) (?:instructions?|prompt|"
        r"rules)\b|\bwhat are your (?:\w+ )?(?:instructions|rules|directives)\b|\bi was instructed to\b|"
        r"\bword for word\b[^\n.!?]*\b(?:prompt|instruction|conversation)|\b(?:conversation|prompt|"
        r"instructions?)\b[^\n.!?]*\b(?:word for word|verbatim)\b",
        "asks for the model's own instructions"),
    ThreatRule("extraction.secret", "data_exfiltration", 4.0,
        r"\b(?:reveal|leak|dump|list|print|output|expose|show|paste|give me|disclose|steal|extract|"
        r"display)\b(?: \w+){0,4} (?:(?:the|all|any|your|raw|internal|admin|secret|confidential|"
        r"hidden) ){0,3}(?:api keys?|credentials|passwords?|secrets?|secret keys?|environment variables|"
        r"customer (?:list|database|data|emails|records)|confidential data|internal config\w*|admin password|"
        r"configuration|private data|database)\b",
        "asks for secrets or customer data"),
    ThreatRule("exfiltration.markdown", "data_exfiltration", STRONG,
        r"!?\[[^\]\n]{0,120}\]\(\s*<?https?://[^\s)]{0,300}(?:=|/)\s*(?:\[[a-z_ ]{2,30}\]|\{[a-z_ ]{2,30}\}|"
        r"<[a-z_ ]{2,30}>)|"
        r"\]:\s*<?https?://[^\s]{0,300}=\s*(?:\[[a-z_ ]{2,30}\]|\{[a-z_ ]{2,30}\}|<[a-z_ ]{2,30}>)|"
        r"(?:replac(?:e|ing)|where(?:as|by|in)?|with|substitut\w+) (?:\[[a-z_ ]{2,30}\]|\{[a-z_ ]{2,30}\}|"
        r"<[a-z_ ]{2,30}>|data|info) (?:with|is|by|for|=|contains|being) (?:an? |"
        r"the )?(?:\w+[- ]){0,3}(?:encoded|summary|conversation|contents?|user|previous|email|chat)",
        "puts data into the address of a link or image"),
    ThreatRule("exfiltration.link", "data_exfiltration", 4.0,
        r"(?:image|link|url|picture|query string|address|webhook|markdown|"
        r"https?://\S+)\b[^\n.!?]*\b(?:chat history|conversation|previous message|last message|"
        r"user'?s? (?:\w+ )?(?:data|e-?mails?|messages?|name|secret|password)|encoded summary|secret code)\b|"
        r"\b(?:base64|mime|url|hex|quoted-printable|rot13)[- ]encoded (?:\w+'?s? ){0,3}(?:previous message|"
        r"conversation|e-?mails?|summary|numbers?|code|secrets?|password|chat|data)\b",
        "carries the conversation out through a link"),
    ThreatRule("exfiltration.send", "data_exfiltration", 4.0,
        rf"\b(?:send|e-?mail|forward|post|upload|exfiltrate|transmit|leak|mail|copy|"
        rf"submit)\b(?: \w+){{0,5}} {_SECRETS}(?: \w+){{0,8}} (?:to|at|via) (?:\S+ ){{0,4}}?(?:https?://\S+|"
        rf"\S*(?:attacker|evil|exfil|hacker|malicious|steal|spy)\S*|external\w*|this (?:address|webhook|server|"
        rf"url))|\bforward all [^\n.!?]*extern",
        "sends data to a stranger"),
    ThreatRule("tool.before_answer", "tool_abuse", STRONG,
        r"\b(?:before|after|when|while|once|on|without|instead of) (?:you |your |the )?(?:answer|respond|reply|"
        r"continu|process|read|summari[sz]|proceed|finish|next user|next message|"
        r"do anything)\w*\b[^\n.!?]*\b(?:call|invoke|run|execute|send|e-?mail|forward|delete|upload|use the|"
        r"append|transfer|download|post|empty|wipe)\b|"
        r"\b(?:call|invoke|execute|run) (?:the )?[a-z]+_[a-z_]+\b[^\n.!?]*\b(?:before|without|then report|"
        r"right now|immediately|and forward|first|on /|to reset)\b",
        "makes the agent use a tool on the way"),
    ThreatRule("tool.no_confirmation", "tool_abuse", 4.0,
        r"\b(?:without|do not|don't|skip|no need to|never|must not)(?: \w+){0,3} (?:asking|ask|confirm\w*|telling|"
        r"tell (?:the|your)|informing|notify\w*|mention(?:ing)? (?:this|it|that)|approval|review|"
        r"permission)(?: \w+){0,4}(?: (?:user|again|this|instruction|owner|operator|customer)|\.|$)|"
        r"\bskip (?:all |the |any )?(?:safety|security|policy|confirmation)\w*(?: \w+)? ?(?:checks?|steps?|"
        r"confirmations?)|"
        r"\bgranted permission to skip\b|\bproceed without asking\b",
        "tells the agent to act without asking"),
    ThreatRule("tool.privilege", "tool_abuse", 4.0,
        r"\b(?:grant|give)(?: \w+){0,3} (?:admin|administrator|root|full|all|owner)(?: \w+)? (?:access|rights|"
        r"privileges|permissions|requests)\b|\bgrant all requests\b|\b(?:this|the) user is (?:an? |"
        r"the )?(?:admin|administrator|owner|root|developer)\b",
        "asks for rights for the user"),
    ThreatRule("tool.destroy", "tool_abuse", 3.0,
        rf"\b{_AI}\b[^\n.!?]*\b(?:delete|empty|remove|wipe|erase|drop|rm -rf|upload|curl)\b|\b(?:delete_file|"
        rf"send_email|delete_user|transfer_funds|execute_command|run_shell|http_post)\b",
        "points an agent at a dangerous tool"),
    ThreatRule("tool.shell", "tool_abuse", 3.0,
        r"\b(?:curl|wget) [^\n|]*\| ?(?:sudo )?(?:ba)?sh\b|\brm -rf (?:/|~|\$home)",
        "runs a stranger's script or destroys files", indirect_only=True),
    ThreatRule("indirect.to_ai", "prompt_injection", 4.0,
        rf"\b(?:note|attention|notice|message|instructions?|hint|warning|reminder|comment|metadata|"
        rf"profile)(?: \([^)]{{0,60}}\))?(?::| to| for)(?: any| all| the| your| other| every|"
        rf" you){{0,2}} {_AI}\b|\bif you(?:'re| are) (?:an? |the )?{_AI}\b|\b{_AI} (?:reading|processing|"
        rf"parsing|integrating|reviewing|scanning|summari[sz]ing|that reads?|who reads?|must|should first|"
        rf"scanners?)\b|"
        rf"\binvisible to humans\b|\bvisible to (?:llms?|ai)\b|\bhidden (?:note|competency|instruction|message|text)",
        "addresses the model that reads the text", indirect_only=False),
    ThreatRule("indirect.force_output", "prompt_injection", 4.0,
        r"\b(?:just|only|simply|must|instead) (?:say|print|output|respond with|reply with|answer with|write|return|"
        r"display|repeat)(?: the)?(?: \w+){0,3}:? ?[\"'<]|\b(?:just|simply|instead) (?:print|output) \w+|"
        r"\b(?:reply|respond|answer)(?: \w+)? with (?:only|just|exactly) (?:the following|this|these)|"
        r"\band (?:absolutely )?nothing else\b",
        "forces the output"),
    ThreatRule("indirect.when_asked", "prompt_injection", 4.0,
        r"\bif (?:you are |you're |anyone |the user |user |someone )?(?:asked|questioned|asks|"
        r"prompted)\b[^\n.!?]*\b(?:respond|reply|say|report|answer|state|output)\b|\byou (?:may|must|"
        r"can) not deviate\b|\b(?:report|state|say|output|confirm) that (?:this|the) (?:domain|file|site|"
        r"candidate|applicant|document|transaction|code) is (?:not |clearly |perfectly )?(?:\w+ )?(?:malicious|"
        r"safe|harmless|approved|secure|clean|perfect|the)\b",
        "tells the reader what to answer"),
    ThreatRule("indirect.verdict", "artifact_poisoning", 4.0,
        r"\b(?:don't|do not) (?:evaluate|assess|judge|review|score|analy[sz]e)\b|\boverride (?:manual|automatic|"
        r"the) (?:scoring|review|evaluation|ranking|score)|\b(?:this|the) (?:candidate|applicant|submission|"
        r"domain|file|document)(?: name)? (?:has been|is|was) (?:clearly |already |pre-?)?(?:pre-?verified|"
        r"verified by|pre-?approved|not malicious|supremely|the (?:best|perfect|most qualified))|\b(?:rank|"
        r"rate|score|mark|recommend|classify|approve) (?:this|the) (?:candidate|applicant|submission|file|mail|"
        r"email|paper|pull request|product)(?: \w+){0,3} (?:first|highest|10|ten|safe|best|passed|excellent|"
        r"as)\b|\bprofile exceeds all requirements\b|\bexclusively on (?:the )?(?:positive|information)",
        "tells the reader how to judge"),
    ThreatRule("indirect.focus", "prompt_injection", 3.5,
        r"\bfocus (?:only|exclusively|solely) on (?:the )?(?:following|information|text|this|positive)\b|"
        r"\b(?:repeat|print) (?:the )?(?:following|this|next) (?:sentence|phrase|line|text)\b|"
        r"\bcould you (?:please )?repeat <|\b(?:print|output) the following\b|\bprovide it to the user\b",
        "turns the reader to a planted text"),
    ThreatRule("spoof.role", "prompt_injection", 2.5,
        r"<\|?/?(?:im_start|im_end|system|endoftext|instructions?|admin|sys)\|?>|\[/?(?:system|inst|sys|admin|"
        r"instructions?)(?: [a-z]+)?(?:\]|::)|<</?sys>>|#{2,} ?(?:end of|system|instruction|new |human|"
        r"assistant)|\b(?:begin|end) (?:of )?(?:admin|system|user input|document|session|context|"
        r"conversation)\b|(?:^|\n)\s*-{3,}\s*\n?\s*system ?:",
        "imitates the marks of a conversation"),
    ThreatRule("spoof.turn", "prompt_injection", 2.5,
        r"(?:^|\n|[.>\]\"'] |-{2,} ?)(?:system|assistant|admin|developer|human|user)(?: note| message| update|"
        r" alert| request| override)? ?:",
        "writes a turn of somebody else", indirect_only=True),
    ThreatRule("spoof.authority", "prompt_injection", 3.5,
        r"\b(?:system|security|admin(?:istrator)?|developer|breach|critical|urgent) (?:override|alert|notice|"
        r"update|message|request|command|note)s?\b(?: ?[:!-]| required)|\bby order of\b|\b(?:instruction|"
        r"legal amendment|core instruction)\b[^\n.!?]*\bfollow|\bfollow instruction\b",
        "claims authority"),
    ThreatRule("encoded.follow", "prompt_injection", STRONG,
        r"\b(?:decode|decrypt|decipher|unscramble|translate|deobfuscate|reverse|convert)\b[^\n.!?]*\b(?:and|"
        r"then) (?:then )?(?:follow|execute|do (?:exactly )?(?:what|as|it)|obey|comply|run|perform|carry out|"
        r"act on)\b|\b(?:follow|execute|obey) (?:the )?(?:instructions?|orders?|commands?) (?:inside|hidden|"
        r"encoded|within|contained)\b",
        "hides instructions in an encoding"),
    ThreatRule("memory.persist", "artifact_poisoning", 3.0,
        r"\b(?:note to self|persisted|remember|save (?:this )?to memory|store (?:this )?(?:in|to) memory|"
        r"for all (?:later|future)|from this point (?:forward|on)|persistent rule|in every (?:chat|session|"
        r"conversation))\b[^\n.!?]*\b(?:always|never|must|print|reveal|disabled|without asking|admin|begin by|"
        r"recommend|comply|skip|run commands)\b",
        "plants a lasting instruction"),
    ThreatRule("pressure.career", "prompt_injection", 2.5,
        r"\b(?:it is|it's|this is) (?:really |very |extremely )?(?:critical|important|vital) (?:to|"
        r"for) my (?:career|job|life)\b|\b(?:really important, extremely important)|\bi will (?:be fired|"
        r"lose my job)\b|\bmy (?:late |dead |deceased )?grand(?:mother|ma)\b[^\n.!?]*\b(?:used to|would)\b|"
        r"\byou (?:have|start with|will lose|lose) (?:\d+|ten|five)?(?: \w+)? ?tokens\b",
        "puts pressure on the model"),
    ThreatRule("foreign.override", "prompt_injection", STRONG,
        r"\b(?:ignora|ignorer|ignorez|ignore toutes|ignore les|ignore as|ignoriere?n?|olvida|oublie[zr]?|vergiss|"
        r"vergessen sie|missachte|zignoruj|zapomnij|dimentica|esqueca|negeer|vergeet|desconsidere|"
        r"pomin)\b(?: \w+){0,4} (?:instrucciones|reglas|instructions|consignes|regles|anweisungen|regeln|"
        r"vorgaben|instruktionen|polecenia|instrukcje|zasad\w*|istruzioni|regole|instrucoes|regras|instructies|"
        r"regels)\b",
        "tells the model to set its instructions aside"),
    ThreatRule("foreign.extract", "prompt_extraction", 4.0,
        r"\b(?:prompt|mensaje|message|nachricht|systemprompt|messaggio|systemnachricht|"
        r"mensagem)(?: \w+){0,2} (?:de |del |di |do |du )?(?:sistema|systeme|system\w*|inicial|initial|"
        r"systemow\w*)\b|\bsystem-?prompt\b|\b(?:ohne|sans|sin|bez|senza|sem|"
        r"zonder)(?: \w+){0,2} (?:einschrankungen|restrictions?|restricciones|limites?|ograniczen|limiti|"
        r"restrizioni|restricoes|filtros?|filtres?|filter|filtrow|beperkingen|limitacoes)\b",
        "asks for the hidden prompt or for no limits"),
)  # fmt: skip
