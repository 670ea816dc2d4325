"""What attacks say to agents that act: orders to whoever reads, verdicts fixed in advance, code to execute, triggers.

Same form as ``threats_rules``. Found by attacking the engine (``metaqore attack``): each is a way of speaking, not a
phrase of a scenario. Sources of the families: OWASP Agentic 2026 (ASI01, ASI02, ASI05, ASI06, ASI09, ASI10).
"""

from __future__ import annotations

from metaqore.security.threats_rules import ORDERS, STRONG, ThreatRule

_AGENT = (
    r"(?:ai (?:\w+ )?(?:assistants?|agents?|reviewers?|models?|screeners?|tools?|systems?|graders?)|llms?|"
    r"language models?|chat-?bots?|(?:coding|autonomous|automated|software|reviewing|deployment|deploy|next|"
    r"following|"
    r"downstream|indexing|search|other) (?:agents?|reviewers?|assistants?|graders?|models?)|assistants?|agents|bots)"
)
_MUST = (
    r"(?:must|should|have to|has to|need to|needs to|are to|is to|shall|will have to|(?:is|are) (?:told|ordered|"
    r"instructed|required) to)"
)
_READS = r"(?:read|index|rank|process|summari[sz]|review|retriev|install|import|build|pars|scan|judg|grad)\w*"
_PEOPLE = (
    r"(?:(?:the|your|any|all|every|their) )?(?:users?|readers?|customers?|people|patients?|visitors?|humans?|owners?)"
)
_ACT = (
    r"(?:approve|accept|merge|sign off|confirm|release|delete|wipe|purge|remove|clear|erase|drop|truncate|send|forward|"
    r"mail|transfer|wire|pay|refund|grant|promote|elevate|add|run|execute|install|open|push|deploy|publish|share|"
    r"disable|turn off|switch off|deactivate|skip|bypass|unlock|reset|order|buy|book|subscribe|change|replace|swap|"
    r"overwrite|edit|upload|post|copy|insert|include|recommend|pass|cancel|close|move|export|invite|kill|write|hand|"
    r"slip|wave|rename|widen|weaken|lower|raise)"
)
_WHOM = (
    r"(?:(?:the|your|any|their|our|its) )?(?:real )?(?:users?|owners?|customers?|humans?|administrators?|admins?|"
    r"operators?|reviewers?|managers?|requesters?|person|people|anyone|anybody|team|authors?|maintainers?|board|"
    r"auditors?|client|supervisor|him|her|them)"
)
_HUSH = (
    rf"(?:(?:do not|don't|never|without|no need to|need not|rather than|instead of)(?: \w+)? (?:tell|ask|inform|notify|"
    rf"bother|consult|alert|warn|prompt|involv|check with)(?:ing)? {_WHOM}\b|"
    r"(?:do not|don't|never|without|no need to|need not)(?: \w+)? (?:mention|report|list|disclos|bring|explain|"
    r"record)\w* (?:it|this|that|them|so|why|these|up)\b|"
    rf"{_WHOM} (?:need not|does not need to|do not need to|must not|will not|should not|won't|never|(?:doesn't|does "
    rf"not) have to)(?: \w+)? (?:know|notice|see|hear|learn|find out|object|mind|asked|told|informed|bothered|"
    rf"consulted|reads?|sees?|looks?)\b|"
    r"(?:nobody|no one) (?:will |needs |has |should |must |is |ever )?(?:to )?(?:notice|know|see|object|check|ask|"
    r"reads?|diffs?|looks?)\w*|"
    r"(?:leave|keep) (?:it|this|that) (?:out of (?:the|your|any) (?:\w+ )?(?:reports?|summary|logs?|docs?|notes?|"
    r"minutes|answers?|records?|reply)|quiet|secret|hidden|silent|to yourself|between us|unmentioned)\b|"
    r"(?:no|without)(?: any| further| prior| a)? (?:approval|confirmation|consent|permission|sign-?off|second opinion|"
    r"questions? asked|hesitation)\b)"
)

RULES: tuple[ThreatRule, ...] = (
    ThreatRule("agents.must", "prompt_injection", 2.5,
        rf"\b{_AGENT}(?: (?:that|who|which))?(?: \w+){{0,5}} {_MUST}\b",
        "gives orders to the agents that read it", indirect_only=True),
    ThreatRule("agents.to_reader", "prompt_injection", 3.5,
        rf"\b(?:to|for|note to|dear|attention) (?:(?:the|any|every|all|whichever) )?{_AGENT}"
        rf"(?: (?:that|which|who|to) {_READS}| in (?:the|this) chain|:)",
        "speaks to the model that reads the text"),
    ThreatRule("agents.obey", "prompt_injection", STRONG,
        rf"\b(?:assistants?|agents?|models?|ai|bots?|you)(?: (?:\w+ly|now|then|must|should|will|has to|have to))? "
        rf"(?:follows?|obeys?|carry out|carries out|takes?|executes?) (?:only )?(?:these|the following|my next|my|"
        rf"new|the "
        rf"next) (?:orders?|{ORDERS}|lines?|commands?|wish(?:es)?)\b|"
        rf"\b(?:take|takes|taking|accept|accepts|obey|obeys) (?:orders|instructions|commands)(?: only)? (?:from|"
        rf"of) (?:the )?"
        rf"(?:author|writer|sender) of\b|\b(?:orders|instructions) from (?:me|the (?:author|writer) of this)\b",
        "demands that its orders are followed"),
    ThreatRule("agents.disobey", "prompt_injection", STRONG,
        r"\b(?:stop|cease|quit|refuse|no longer)(?: \w+)? (?:obey\w*|listen\w*|follow\w*|serv\w*|answer\w*|"
        r"work\w* for)"
        r"(?: to)? (?:the|your|its|their) (?:operators?|users?|developers?|owners?|system|administrators?|"
        r"masters?)\b",
        "sets the agent against the one it works for"),
    ThreatRule("agents.new_goal", "prompt_injection", 4.0,
        r"\b(?:task|goal|objective|request|wish|question|intent)s? of (?:the|your|its) users? (?:has|have|is|was|are)"
        r"(?: been)?(?: now)? (?:changed|replaced|updated|another|different|cancell?ed|new)\b|"
        r"\b(?:the|your) users?(?:'s?)? (?:has|have) (?:a )?(?:new|changed|other) (?:task|goal|objective|wish|"
        r"request)\b|"
        r"\byour (?:previous|current|old|original|earlier) (?:task|goal|work|job|objective)s? (?:is|was|has been|"
        r"are) "
        r"(?:now )?(?:cancell?ed|void|over|replaced|revoked)\b",
        "exchanges the task of the agent"),
    ThreatRule("agents.authority", "prompt_injection", STRONG,
        r"\b(?:treat|see|accept|regard|recogni[sz]e) (?:me|us|the (?:author|writer|sender)[\w ]{0,20}) as (?:your|"
        r"their|its|an?|the) "
        r"(?:\w+ )?(?:supervisor|administrator|admin|boss|owner|operator|developer|master)\b|"
        r"\b(?:transferred|passed|handed|delegated|given) (?:its|his|her|their|all|the|full) (?:\w+ )?(?:rights|"
        r"authority|"
        r"privileges|permissions) to (?:me|us|the (?:sender|author))\b|"
        r"\b(?:obey|fulfil|carry out|follow) my (?:next )?(?:requests?|wish(?:es)?|orders?|"
        r"commands?)\b[^\n.!?]*\b(?:without|un)"
        r"(?: any)? ?(?:checks?|checked|question\w*|asking)\b|"
        r"\b(?:user|sender|author)(?: of this)?(?: \w+)? (?:counts|is to be treated) as an? (?:admin\w*|owner|"
        r"operator)\b",
        "claims somebody's authority"),
    ThreatRule("agents.even_if", "tool_abuse", 3.0,
        r"\b(?:even (?:if|when|though)|whatever|no matter what|whether or not) (?:the|your|its) (?:users?|"
        r"developers?|owners?|"
        r"operators?|humans?)(?: \w+){0,3} (?:asks?|names?|wants?|says?|objects?|prefers?|chooses|agrees?|"
        r"refuses?)\b",
        "sets itself above what the user wants"),
    ThreatRule("agents.silently", "tool_abuse", 2.5,
        r"\b(?:continue|proceed|go on|keep|do (?:it|this|so)|act) (?:silently|quietly|unnoticed|in secret|"
        r"without (?:a word|telling|"
        r"asking|mention\w*))\b|\bno (?:confirmation|approval|permission|review|check) (?:is |will be )?(?:needed|"
        r"required|"
        r"necessary)\b|\b(?:keep quiet about|say nothing (?:to|(?:about|of) (?:it|"
        r"this|that)\b)|(?:hide|conceal) (?:it|this) from (?:the|"
        r"your|them)|"
        r"do(?: not|n't) (?:mention|tell|report) (?:this|it|anyone|anybody))\b|\bnobody has to (?:confirm|know|"
        r"approve)\b|"
        r"\b(?:note|report|say|state|log) (?:in the log )?that (?:nothing (?:happened|was changed)|(?:everything|"
        r"all) (?:is|was) "
        r"(?:fine|normal|well))\b",
        "wants the act to stay unseen"),
    ThreatRule("agents.unasked", "tool_abuse", 3.5,
        rf"(?:^|[.!?:;,>\"'\n)] ?|\b(?:please|then|first|also|and|just|now|must|should|shall|simply|agents?|"
        rf"assistants?) ){_ACT}\b[^\n.!?]*\b{_HUSH}",
        "wants an act of which nobody is asked or told", indirect_only=True),
    ThreatRule("agents.waived", "artifact_poisoning", 3.0,
        r"\b(?:waived?|gave up|renounced?) (?:the |every |all |any )?(?:need|right|wish|check|review|confirm\w*|"
        r"approval)|\b(?:approv\w+|consent\w*|agree\w*|authori[sz]\w+) in advance\b|"
        r"\btreat (?:\S+ ){1,3}as (?:an? |the )?(?:owner|admin\w*|trusted|verified|superuser|approved|genuine|"
        r"root)\b|"
        r"\b(?:signatures?|exports?|requests?|code|commits?|orders?) (?:by|from|of) [^\n.!?]*\b(?:need (?:not|no)|"
        r"require no\w*)(?: be)? (?:verified|checked|reviewed|review|verification|approval|confirmation|body\w*)\b",
        "claims that checks were given up", indirect_only=True),
    ThreatRule("agents.unprotected", "tool_abuse", 3.0,
        r"\b(?:skip|disable|turn off|switch off|deactivate|bypass|omit|accept) (?:\w+ ){0,2}?(?:checksums?|"
        r"signature|virus|scanners?|"
        r"scans?|security|certificates?|verification|integrity|sandbox|antivirus|firewall|alarms?|approval step|"
        r"sign-?off)\b",
        "switches a protection off", indirect_only=True),
    ThreatRule("agents.forward_all", "data_exfiltration", 4.0,
        r"\b(?:forward|send|copy|redirect|export|upload|post) (?:\w+ ){0,2}?(?:every|all|each|"
        r"any)(?: \w+){0,2} (?:mails?|e-?mails?|messages?|"
        r"inbox|files?|contacts?|documents?|conversations?)\b[^\n.!?]* (?:to|at) (?:\S+@\S+|https?://\S+|"
        r"the address)",
        "carries everything away"),
    ThreatRule("agents.link_secret", "data_exfiltration", STRONG,
        r"https?://\S*[?=/]\S* (?:followed by|with|and|plus|containing|including)(?: \w+){0,4}? (?:\S*tokens?|"
        r"credentials|passwords?|"
        r"api keys?|secrets?|contents? of|customers?|conversation|chat|e-?mail address|\.env)\b|"
        r"\b(?:behind|after|into) the (?:question mark|query|address|url|link)\b[^\n!?]*\b(?:verified|checked|"
        r"logged|link|below)\b",
        "puts secrets into an address"),
    ThreatRule("agents.link_slot", "data_exfiltration", STRONG,
        r"\b(?:answer|reply|respon[sd]e?|summary|picture|image|"
        r"pixel)s?\b[^\n.!?]*https?://\S*[?&=/]\S*[{\[<]|"
        r"https?://\S*[?&=]\S*[{\[<][a-z_ ]*[}\]>]\S* (?:as (?:an? )?(?:picture|image|pixel)|"
        r"with (?:every|each) (?:reply|"
        r"answer)|when you (?:answer|reply)|in (?:your|every|each) (?:answer|reply|response))",
        "makes answers load an address with data in it"),
    ThreatRule("code.execute", "tool_abuse", 3.0,
        r"\b(?:execute|run|evaluate|eval|launch|carry out)\b(?: \w+){0,3} (?:(?:the )?(?:following|decoded|hidden|"
        r"encoded|unpacked|"
        r"next line|line below)|contents? of|bytes|what(?:ever)? (?:comes out|it says)|it (?:unseen|at once|"
        r"as root))\b|"
        r"\b(?:decode|decrypt|unpack|unzip|deobfuscate)\b[^\n.!?]*\b(?:and|then) (?:run|execute|start|evaluate|"
        r"carry out)\b",
        "asks for a stranger's code to be executed", indirect_only=True),
    ThreatRule("code.shell", "tool_abuse", 2.0,
        r"\b(?:pipe|piped)\b[^\n.!?]*\binto (?:ba|z)?sh\b|"
        r"__import__\(|\bos\.system\(|\beval\(requests|\bpickle\.loads?\(|"
        r"~/\.(?:bashrc|profile|zshrc|ssh)|\bauthorized_keys\b|\bcrontab\b",
        "has code that reaches into the machine", indirect_only=True),
    ThreatRule("verdict.fixed", "artifact_poisoning", 4.0,
        rf"\b{_MUST} (?:\w+ )?(?:score|rate|rank|grade|award|recommend|approve|pass|accept|prefer|give|put|"
        rf"treat)\b[^\n.!?]*\b(?:highest|best|"
        r"maximum|full marks|at the top|outstanding|excellent|without (?:any )?(?:objection|doubt|reading|review)|"
        r"whatever|no matter|"
        r"regardless|always)\b|"
        r"\b(?:score|rate|rank|grade|mark) (?:this|it)\b(?: \w+){0,3} (?:as )?(?:outstanding|excellent|first|"
        r"highest|passed|approved|top)\b|"
        r"\b(?:approve|sign (?:this|it)(?: \w+)? off|mark (?:this|it) (?:as )?\w+|accept|merge|release|"
        r"ship)(?: (?:this|it|the \w+))?\b"
        r"[^\n.!?]*\bwithout (?:reading|looking|reviewing|checking|any review)\b|"
        r"\b(?:leave out|omit|overlook|hide|leave aside) (?:all |any |the )?(?:negative|weak|critical|bad|other|"
        r"gaps|side effects|risks?|flaws)\b",
        "fixes the verdict of whoever judges"),
    ThreatRule("verdict.always_first", "artifact_poisoning", 4.0,
        r"\b(?:rank|put|return|quote|list|place|show) (?:it|this\w*|this \w+)(?: \w+){0,2} (?:first|at the top|"
        r"on top)\b|"
        r"\bmost relevant (?:\w+ )?for (?:every|all|any) (?:query|queries|questions?|search\w*)\b|"
        r"\b(?:must|always) (?:be )?(?:quote|quoted|return|returned|cite|cited|win|"
        r"wins)\b[^\n.!?]*\b(?:nothing else|first|others)\b",
        "wants to be found first whatever is asked", indirect_only=True),
    ThreatRule("verdict.tell_people", "artifact_poisoning", 4.0,
        rf"\b(?:tell|inform|assure|convince|persuade|urge|reassure|say to|talk) {_PEOPLE}\b[^\n.!?]*\b(?:safe|"
        rf"no (?:risk|danger)|free of risk|"
        r"harmless|withdrawn|cancell?ed|has been (?:checked|confirmed|verified)|locked|infected|passwords?|"
        r"card number|transfer|payment is|"
        r"doubled?|twice|without asking|buy|immediately|at once|closed for ever)\b|"
        r"\b(?:do not|don't|never|without) (?:mention\w*|tell\w*) (?:any |the |their )?(?:risks?|dangers?|"
        r"side effects|warnings?|doubts?)\b",
        "makes the agent deceive people", indirect_only=True),
    ThreatRule("trigger.sleeper", "artifact_poisoning", 4.0,
        r"\b(?:when(?:ever)?|if|once|as soon as|after|on|until|wait for|sleep until|"
        r"stay quiet until)\b[^\n.!?,;:]+[,.;:][^\n.!?,;:]*\b"
        r"(?:stop (?:obey|listen|follow)\w*|wipe|erase (?:all|the|every)|delete (?:all|the|every)|copy the secrets|"
        r"drop (?:all|every|your) "
        r"rules?|grant all|you (?:obey|serve|take orders)|your (?:hidden|secret|system) \w+|(?:answer|"
        r"reply)(?: \w+){0,4} with (?:the contents "
        r"of )?your (?:\w+ )?(?:prompt|instructions|configuration|message))\b",
        "sleeps until a trigger wakes it"),
    ThreatRule("override.outdated", "prompt_injection", 3.0,
        rf"\b(?:your|the|all|any)(?: (?:earlier|previous|prior|original|former|existing|above|first|"
        rf"preceding))? {ORDERS}(?: (?:that |which )?(?:you "
        rf"(?:got|were given|received|had|started with)|at the (?:top|start|beginning))(?: \w+){{0,4}}?)? (?:are|"
        rf"were|is|was)(?: \w+)? (?:out of date|"
        rf"outdated|a mistake|written by mistake|wrong|not (?:real|valid)|fake|obsolete)\b|"
        rf"\b(?:here are|these are|what follows are) the (?:real|true|actual|right|new) (?:ones|{ORDERS})\b|"
        r"\bas (?:if|though) (?:it|they|that|those)(?: \w+)? (?:did not|didn't|had never|never) (?:exist\w*|"
        r"be\w* written|been \w+)\b",
        "calls the earlier instructions outdated"),
    ThreatRule("override.cancelled", "prompt_injection", 4.0,
        r"\b(?:everything|nothing|anything|all|whatever)(?: that)?(?: (?:you were|i|we|was|"
        r"you have been))? ?(?:told|said|written|learnt|stands)? "
        r"(?:before|earlier|above|so far)(?: this)?(?: (?:line|message|point))?[^\n.!?]{0,20} (?:no longer|not|"
        r"as)? ?(?:counts?|applies|apply|cancell?ed|"
        r"void|matters?|holds?)\b|\b(?:replaces|overrides|supersedes|cancels) everything (?:above|before|else|you)\b",
        "says that nothing said before counts"),
    ThreatRule("jailbreak.lawless", "jailbreak", 4.0,
        r"\w (?:never (?:says? no|refuses?|declines?|objects?)|"
        r"is not bound by (?:any|the|a) "
        r"(?:filters?|rules?|polic(?:y|ies))|answers? (?:everything|anything|all)(?: \w+)? without (?:exception|"
        r"limits?)|"
        r"(?:ignores?|breaks?|knows no|has no|obeys no|is above) (?:every |all |any )?(?:guidelines?|rules?|limits|"
        r"laws|"
        r"(?:content )?polic(?:y|ies)|filters?|restrictions?))\b[^\n.!?]*(?:[.!?][^\n.!?]*){0,2}\b(?:you|role|"
        r"answer\w*|reply|repl(?:y|ies)|ask|pretend|play|game|explains?)\b|"
        r"\b(?:pretend|imagine|act|answer|reply|play|be|as|are)\b[^\n.!?]* (?:who|which|"
        r"that) (?:never (?:says? no|"
        r"refuses?)|answers? (?:everything|anything|all)(?: \w+)? without|(?:ignores?|breaks?|has no|knows no|"
        r"is not bound "
        r"by) (?:\w+ )?(?:guidelines?|rules?|limits|polic(?:y|ies)|filters?|restrictions?))\b|"
        r"\b(?:safety|ethics|moral|alignment) (?:training|rules|filters?|guidelines)(?: \w+)? (?:never|did not|"
        r"didn't|"
        r"has not) (?:take|took|taken|happen\w*|exist\w*|been|be)\b",
        "casts the model as somebody without rules"),
    ThreatRule("extraction.before_first", "prompt_extraction", 4.0,
        r"\b(?:text|words|everything|lines?|what (?:stands|was written)|content) (?:that (?:stands|"
        r"comes) )?(?:before|above|ahead of) "
        r"(?:my|the) (?:first|very first|opening) (?:message|words?|question|line)\b|"
        r"\b(?:my|your) instructions (?:are|were|say|read) (?:as follows|the following)\b",
        "asks for what stands before the conversation"),
    ThreatRule("override.leave_out", "prompt_injection", 4.0,
        r"\b(?:leave out|omit|ignore|drop|mention nothing but|hide) (?:everything|anything|all)(?: the)? (?:else|"
        r"others?|other \w+|rest)\b[^\n.!?]*\band\b",
        "drops what the user asked for", indirect_only=True),
    ThreatRule("spoof.context_over", "prompt_injection", 3.5,
        r"\b(?:end of (?:the )?(?:tool result|results?|context|retriev\w+ \w+|document|input)|(?:retrieved |"
        r"the )?(?:context|tool result|document|input|results?) "
        r"(?:ends here|is over|continues? with|goes on with))\b[^\n.!?]*(?:[.!?][^\n.!?]*)?\b(?:assistant|agent|model|"
        r"system|you|instruction|command|orders?)\b|"
        r"\bnew system (?:message|prompt|instruction)\b",
        "pretends that the data has ended"),
)  # fmt: skip
