"""What attacks say in texts that nobody asked for instructions: data carried out, tools abused, readers steered.

Same form as ``threats_rules``. Most of these count anywhere; ``indirect_only`` ones only in tool output, memory and
artifacts.
"""

from __future__ import annotations

from metaqore.security.threats_rules import STRONG, ThreatRule

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
_MEANWHILE = (
    r"(?:before|after|when|while|once|on|without|instead of) (?:you |your |the )?(?:answer|respond|reply|"
    r"continu|process|read|summari[sz]|proceed|finish|next user|next message|do anything)\w*\b"
)

RULES: tuple[ThreatRule, ...] = (
    ThreatRule("extraction.secret", "data_exfiltration", 3.0,
        r"\b(?:reveal|leak|dump|list|print|output|expose|show|paste|give me|disclose|steal|extract|export|"
        r"collect|harvest|display)\b(?: \w+){0,4} (?:(?:the|all|any|your|raw|internal|admin|secret|confidential|"
        r"hidden) ){0,3}(?:api keys?|credentials|passwords?|secrets?|secret keys?|environment variables|"
        r"(?:customer|user|client|raw|entire|whole|internal|private|confidential)s? (?:\w+ )?(?:list|database|data|"
        r"e-?mails|records|config\w*)|admin password)\b",
        "asks for secrets or customer data"),
    ThreatRule("exfiltration.markdown", "data_exfiltration", STRONG,
        r"\]\(\s*<?https?://[^\s)]*(?:=|/)\s*(?:\[[a-z_ ]{2,30}\]|\{[a-z_ ]{2,30}\}|"
        r"<[a-z_ ]{2,30}>)|"
        r"\]:\s*<?https?://\S*=\s*(?:\[[a-z_ ]{2,30}\]|\{[a-z_ ]{2,30}\}|<[a-z_ ]{2,30}>)|"
        r"(?:replac(?:e|ing)|where(?:as|by|in)?|with|substitut\w+) (?:\[[a-z_ ]{2,30}\]|\{[a-z_ ]{2,30}\}|"
        r"<[a-z_ ]{2,30}>|data|info) (?:with|is|by|for|=|contains|being) (?:an? |"
        r"the )?(?:\w+[- ]){0,3}(?:encoded|summary|conversation|contents?|user|previous|email|chat)",
        "puts data into the address of a link or image"),
    ThreatRule("exfiltration.link", "data_exfiltration", 4.0,
        r"(?:\b(?:image|link|url|picture|query string|webhook|markdown)\b|https?://\S+)[^\n.!?]*\b(?:chat history|"
        r"conversation|"
        r"previous message|last message|users?'?s? (?:\w+ )?(?:data|e-?mails?|messages?|secret|password|cookie|"
        r"session)|"
        r"encoded summary|secret code|everything the user)\b|\busers?'?s? (?:\w+ )?(?:data|e-?mails?|messages?|"
        r"secret|password|"
        r"cookie|input)\b[^\n!?]*https?://\S*[?=]|"
        r"\b(?:base64|mime|url|hex|quoted-printable|rot13)[- ]encoded (?:\w+'?s? ){0,3}(?:previous message|"
        r"conversation|e-?mails?|summary|numbers?|code|secrets?|password|chat)\b",
        "carries the conversation out through a link"),
    ThreatRule("exfiltration.send", "data_exfiltration", 4.0,
        rf"\b(?:send|e-?mail|forward|post|upload|exfiltrate|transmit|leak|mail|copy|"
        rf"submit)\b(?: \w+)* {_SECRETS}(?: \w+)* (?:to|at|via) (?:\S+ ){{0,4}}?(?:https?://\S+|"
        rf"\S*(?:attacker|evil|exfil|hacker|malicious|steal|spy)\S*|external\w*|this (?:address|webhook|server|"
        rf"url))|\bforward all [^\n.!?]*extern",
        "sends data to a stranger"),
    ThreatRule("tool.before_answer", "tool_abuse", 1.5,
        rf"\b{_MEANWHILE}[^\n.!?]*\b(?:call|invoke|run|execute|send|e-?mail|forward|delete|upload|use the|"
        r"append|transfer|download|post|empty|wipe)\b",
        "makes the agent act on the way"),
    ThreatRule("tool.call", "tool_abuse", STRONG,
        rf"\b{_MEANWHILE}[^\n.!?]*\b(?:call|invoke|run|execute|use) (?:the )?(?:[a-z]+_[a-z_]+|(?:\w+ )?(?:tool|"
        rf"function|"
        r"command|api|script))\b|"
        r"\b(?:call|invoke|execute|run) (?:the )?[a-z]+_[a-z_]+\b[^\n.!?]*\b(?:before|without|then report|"
        r"right now|immediately|and forward|first|on /|to reset|for (?:every|each|all))\b",
        "makes the agent use a tool on the way"),
    ThreatRule("tool.no_confirmation", "tool_abuse", 3.0,
        r"\b(?:without|do not|don't|skip|no need to|never|must not)(?: \w+){0,3} (?:asking|ask|confirm\w*|telling|"
        r"tell (?:the|your)|informing|notify\w*|mention(?:ing)? (?:this|it|that))"
        r"(?: \w+){0,4}(?: (?:user|again|this|instruction|owner|operator|customer)|\.|$)|"
        r"\b(?:do not|don't|no need to|never|must not) (?:wait for|need|require|request|seek|get|ask for)(?: \w+)? "
        r"(?:approval|review)\b|"
        r"\bskip (?:all |the |any )?(?:safety|security|policy|confirmation)\w*(?: \w+)? ?(?:checks?|steps?|"
        r"confirmations?)|"
        r"\bgranted permission to skip\b|\bproceed without asking\b",
        "tells the agent to act without asking"),
    ThreatRule("tool.privilege", "tool_abuse", 2.5,
        r"\b(?:grant|give)(?: \w+){0,3} (?:admin|administrator|root|full|all|owner)(?: \w+)? (?:access|rights|"
        r"privileges|permissions|requests)\b|\bgrant all requests\b|\b(?:this|the) user is (?:an? |"
        r"the )?(?:admin|administrator|owner|root|developer)\b",
        "asks for rights for the user"),
    ThreatRule("tool.destroy", "tool_abuse", 3.0,
        rf"\b{_AI}\b[^\n.!?]*\b(?:delete|empty|remove|wipe|erase|drop|rm -rf|upload|curl)\b|\b(?:delete_file|"
        rf"send_email|delete_user|transfer_funds|execute_command|run_shell|http_post)\b|\b(?:call|invoke|execute|"
        rf"run|use)(?: the)?(?: \w+)? (?:delete|drop|erase|wipe|transfer|grant|disable)_\w+",
        "points an agent at a dangerous tool"),
    ThreatRule("tool.shell", "tool_abuse", 3.0,
        r"\b(?:curl|wget) [^\n|]*\| ?(?:sudo )?(?:ba)?sh\b|\brm -rf (?:/|~|\$home)",
        "runs a stranger's script or destroys files", indirect_only=True),
    ThreatRule("indirect.to_ai", "prompt_injection", 3.5,
        rf"\b(?:note|attention|notice|message|instructions?|hint|warning|reminder|comment|metadata|"
        rf"profile)(?: \([^)]{{0,60}}\))?(?::| to| for)(?: any| all| the| your| other| every|"
        rf" you){{0,2}} {_AI}\b|\bif you(?:'re| are) (?:an? |the )?{_AI}\b|\b{_AI} (?:reading|processing|"
        rf"parsing|integrating|reviewing|scanning|summari[sz]ing|that reads?|who reads?|scanners?)\b|"
        rf"\binvisible to humans\b|\bvisible to (?:llms?|ai)\b|\bhidden (?:note|competency|instruction|message|"
        rf"text)",
        "addresses the model that reads the text"),
    ThreatRule("indirect.calls_ai", "prompt_injection", 2.5,
        r"(?:^|[\n>.!\]] ?)(?:all |any |dear )?(?:ai agents?|ai assistants?|llms|language models?|coding agents?|"
        r"agents|assistants?|chatbots?)"
        r"(?:,|:| that| who| reading| processing)",
        "calls on the model that reads the text"),
    ThreatRule("indirect.tell_user", "prompt_injection", 2.5,
        r"\b(?:tell|inform|convince|persuade|urge|advise|recommend to) (?:the )?(?:user|reader|customer)s? (?:to|"
        r"that (?:they|their|he|she))\b",
        "uses the model to talk the user into something", indirect_only=True),
    ThreatRule("jailbreak.fiction", "jailbreak", 3.5,
        r"\b(?:story|play|novel|poem|fiction|scene|hypothetical\w*|film|movie|screenplay|roleplay|grand(?:mother|"
        r"ma|pa))\b[^\n!?]*\b(?:explain\w*|describe\w*|"
        r"step[- ]by[- ]step|recipe|exact|precise\w*|instructions|how to (?:make|build|cook|"
        r"synthesi[sz]e))\b[^\n!?]*\b(?:bombs?|meth|drugs?|napalm|explosives?|"
        r"weapons?|poison|malware|ransomware|keys?|virus)\b|\bhow (?:do|can|would|to) (?:i |we |you )?(?:make|"
        r"build|cook|create|synthesi[sz]e) (?:a |an |some )?"
        r"(?:\w+ )?(?:bombs?|meth|napalm|explosives?|ransomware|nerve agents?)\b",
        "wraps a dangerous request in fiction"),
    ThreatRule("jailbreak.hide_answer", "jailbreak", 3.5,
        r"\b(?:forbidden|banned|prohibited|restricted|dangerous|illegal) (?:answer|content|information|words?|text|"
        r"topic)\b|\b(?:so that|so) (?:the |no )?(?:filter|moderator|moderation|"
        r"monitor|censor|safety)\w*(?: \w+){0,3} (?:not|can(?:no|')t|never|notice|read|catch|detect)\b|"
        r"\bdrop (?:the|your) (?:persona|mask|act|filter)\b",
        "asks for an answer that filters do not see"),
    ThreatRule("indirect.marker", "prompt_injection", 4.0,
        r"\b(?:include|append|add|insert|embed|repeat|put|echo) (?:the |this |that )?(?:\w+ ){0,3}?(?:tokens?|id|"
        r"ids|trace_?id|doc_?id|code|string|"
        r"marker|canary|phrase|keyword|tag)\b[^\n.!?]*\b(?:in|to|into|at) (?:your|every|each|all|the end of)\b",
        "plants a mark in what the agent writes"),
    ThreatRule("indirect.graded", "artifact_poisoning", 4.0,
        r"\b(?:must|should|has to|have to|needs to) be (?:scored|rated|ranked|graded|classified|marked|treated|"
        r"approved|paid|accepted) (?:as |at once|first|with|highest|without|in)|"
        r"\bregardless of (?:its|the|their|what)(?: \w+){0,2} (?:content|quality|says|merits?|review)",
        "fixes the verdict in advance"),
    ThreatRule("indirect.force_output", "prompt_injection", 3.0,
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
        r"instructions?)(?: [a-z]+)?(?:\]|::)|<</?sys>>|#{2,} ?(?:end of (?:user|document|input|session|context|"
        r"prompt)|system\b|"
        r"new (?:instruction|system|task|prompt)|(?:human|assistant|instructions?) ?:)|\b(?:begin|"
        r"end) (?:of )?(?:admin|system|user input|document|session|context|"
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
        r"\b(?:note to self|persisted|remember|save (?:this |the following )?to (?:your )?(?:long-term )?memory|"
        r"store (?:this )?(?:in|to) memory|"
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
        r"(?:^|[^'a-z])(?:ignora|ignorer|ignorez|ignore toutes|ignore les|ignore as|ignoriere?n?|olvida|oublie[zr]?|"
        r"vergiss|"
        r"vergessen sie|missachte|zignoruj|zapomnij|dimentica|esqueca|negeer|vergeet|desconsidere|"
        r"pomin)\b(?: \w+){0,4} (?:instrucciones|reglas|instructions|consignes|regles|anweisungen|regeln|"
        r"vorgaben|instruktionen|polecen\w*|instrukcj\w*|zasad\w*|istruzioni|regole|instrucoes|regras|instructies|"
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
