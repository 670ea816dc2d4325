"""Is a person named near here? Names, titles, roles and pronouns, on folded (ASCII) text.

A name alone is not personal data here; it is what turns an IP address, a diagnosis or a number into some.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import cache
from itertools import pairwise

from metaqore.security.detect_patterns import Patterns, occurs

#: Common given names of the languages in which names are looked for; folded. Any capitalised pair is weaker evidence.
_GIVEN = """
aiko alba alejandra alena alexandru alfonso alfredo alicja aline altan alvaro andreea aneta angelo angus anika annika
antti anya aoife arash arda arne arvid aryan ashok asif asli ataru aurora ayse azra balazs beatriz begum bence berit
bjarne blanca bogdan bram branka burak cagla caio carmela carolina cem chen chiamaka chiara chinwe ciara cintia clelia
cosmin cristian cristina daan daiki damir darya deepa devi diego dimitri dimitris dinesh djamila dong dragan duc eamon
ebru efua eleni elif elin elina elisa emir erkan erlend eszter ewelina ezgi farah fatma federico felipe femke fergus
fernanda ferran fiorella flavio francisca francisco fumiko funda gabor gaurav gert giacomo gianluca gintaras giovanna
giuseppe goran gudrun guilherme gustavo hamid hana hao haruka hasan havva hedda helmi hideo hye hyun ibrahima igor
ilaria ilse imran inga ioana ioannis ivana ivo jana janez jaroslav javad jelena jeroen jesus jing jiri joana joao
jordi josip juho jun jung kaan kadir karim karla kasia kavya kemal kenta khaled kiran kweku laila lerato leticia lieke
liv livia ljubica loic lorenzo lotte ludmila luisa luka lwazi mai malin mari marija marisol marit marko massimo matteo
maya mei meike melek mercedes meri merve mette mihai mika mikael mikko milena milica mireille mirela mirjana miroslav
miyu mohammad mohit murat naamah nadja narges nasrin ngozi niamh nikola nikolai nikos nuno nuria olena olumide onur
orla ottavia paloma patrizia paulo pavel pavol pekka pelin peng petr pieter pilar prakash pranav preeti qing radek
radka raluca ramesh ramon rana raquel rashid reiko renato reza rikke rina ritu rohit rossella rui rutger sadia sahil
salome samira sandeep sanna saskia satoshi seamus selim selma seo sergio sevgi shabnam shahid shanti shira siiri
simona sinead siobhan sita siv snezana solveig stefania stefano stelian stine suda sumit sunita swati tadeusz taina
taiwo takeshi tamar tarek tereza thabo thandiwe thanh tiago tibor tomas torben tuan tuncay tuomas uchenna ulla umar
usha vaclav vasile vesna vidya viktoria vincenzo vivek vladimir wietse xiao yasemin yasuko yiannis ying yosef yuko
yuri zoltan zsofia zuzana
aaron abigail adam adrian adele agata agnes agnieszka ahmed aimee alain alan albert alejandro aleksander aleksandra
alessandro alex alexander alexandra alexandre alexis alfred ali alice alicia alina alison allan allen allison amanda
amber amelia amelie amy ana anais andre andrea andreas andrei andrew andrzej angela angelika anita anja anke ann
anna anne annette annie anthony antje anton antonia antonio antoine arthur artur ashley astrid aurelie aurore austin
axel barbara barry bartosz beata beatrice benedikt benjamin bernadette bernard bernd bert beth bettina beverly
birgit boris brandon brenda brian brigitte britta brittany brooke bruce bruno bryan cameron camille carina carl
carla carlos carly carmen carol carole caroline carolyn catherine cathy cecile cecilia celine chad charles charlie
charlotte chantal cheryl chloe chris christa christian christiane christina christine christoph christophe
christopher cindy claire clara claude claudia claus clemence clive colette colin connor corinna courtney craig
crystal curtis cynthia cyril dagmar dagmara dale damian damien dan dana daniel daniela daniele danielle danny daria
dariusz darren david dawid dawn dean deborah debra delphine denis denise dennis derek diana diane didier dieter dirk
dmitri dominic dominik dominika dominique don donald donna doris dorota dorothea dorothy douglas duncan dylan eduard
edward edwin eileen elena eleanor elisabeth elise eliza elizabeth ella ellen elliott elodie elsie emil emilia emilie
emily emma emmanuel enrico eric erica erik erika ernest ernst erwin esther ethan etienne eugene eva evelyn ewa
fabian fabien fabrice fatima felix fernando filip fiona florence florian frances francesca francesco francis
francois francoise frank franz freddy frederic frederick frederik frieda friedrich fritz gabriel gabriela gabriele
gabrielle gareth gary gavin gemma genevieve geoffrey george georg georges georgia gerald geraldine gerard gerhard
gilbert gilles gillian gina giovanni gisela giulia glen glenn gloria gordon grace graham greg gregoire gregor
gregory grzegorz guillaume guido gunter guy halina hannah hanna hannelore hans harald harold harriet harry hassan
heather hector heidi heike heinrich heinz helen helena helene helga helmut henri henriette henry herbert hermann
holger holly horst howard hubert hugh hugo hugues ian ibrahim ida ignacy ilona ines inge ingrid irena irene irma
isaac isabel isabella isabelle ivan iwona jack jackie jacob jacek jacqueline jacques jade jaime jake jakob jakub
james jamie jan jane janet janice janina janusz jasmin jasmine jason javier jay jean jeanne jeff jeffrey jennifer
jenny jens jeremy jerome jerzy jesse jessica jill jim joachim joan joanna joanne jochen joe joel johan johann
johanna johannes john johnny jon jonas jonathan jordan jorg jorge jose josef joseph josephine josette joshua joyce
juan judith judy julia julian juliana julie julien juliette jurgen justin justine justyna kai kajetan kamil kamila
karen karin karina karl karol karolina katarzyna kate katharina kathleen kathrin kathryn kathy katie katja katrin
kazimierz keith kelly ken kenneth kerry kevin kim kimberly kirsten klara klaus konrad konstantin kornel kristen
kristian kristin kristina krystyna krzysztof kurt kyle lara larry lars laura laure laurence laurent lauren lea leah
lee lena leo leon leonard leonie leonor leslie lewis liam lidia lilian lina linda lindsay lisa liz lois lorraine
lothar louis louise luc luca lucas lucia lucie lucy ludwig luis lukas lukasz luke lydia lynn maciej madeleine
madison magda magdalena maggie maja malcolm malgorzata manfred manon manuel manuela marc marcel marcin marco marcus
marek margaret margaux margot maria mariam marian mariana marianne marie marilyn marina mario marion marius mariusz
mark markus marlene marta martha martin martina martine mary mateusz mathew mathias mathieu mathilde matt matthew
matthias maud maureen maurice maurizio max maxime maximilian megan mehmet melanie melinda melissa michael michal
michel michele micheline michelle miguel mike milosz miriam mirko mohamed mohammed molly monica monika monique
morgan moritz muhammad nadia nadine nancy natalia natalie natascha nataniel natasha nathalie nathan neil nele nelly
nicholas nick nico nicola nicolas nicole niklas nikolaus nina noah noel noemi nora norbert norma norman odette olaf
olga oliver olivia olivier omar oscar oskar oswald otto pablo pamela paola paolo pascal patrice patricia patrick
patryk paul paula paulette pauline pawel pedro peggy penelope perry peter petra phil philip philipp philippe phillip
phyllis pierre piotr priya rachel rafael rafal raimund rainer ralf ralph ramona raphael raul ray raymond rebecca
reece regina reinhard reinhold remy renata renate rene rhys ricardo richard rick rita rob robert roberta roberto
robin rodney roger roland rolf roman romain ronald rosa rose rosemary ross roxanne roy ruben rudolf russell ruth
ryan sabina sabine sabrina sally sam samantha samuel sandra sandy sara sarah sascha scott sean sebastian sebastien
serge sergei seth shannon sharon shaun sheila shirley silke silvia simon simone sofia sofie sonia sonja sophia
sophie stacey stanislaw stefan stefanie steffen stella stephan stephane stephanie stephen steve steven stuart sue
susan susanne suzanne sven svetlana sybille sylvana sylvain sylvia sylvie szymon tamara tammy tania tanja tanner
tara tatiana ted teresa terri terry thea theo theodor theodore theophile theresa therese thierry thilo thomas
thorsten tiffany tim timo timothy tina tobias toby todd tom tomasz toni tony tracey tracy travis trevor tristan
tyler udo ulrich ulrike urs ursula ute uwe valentin valentina valentine valeria valerie vanessa vera veronica
veronika veronique vicki victor victoria viktor vincent vinzenz violet virginia virginie vivian volker waldemar
walter wanda wayne wendy werner wesley wiktor wilhelm william willi wojciech wolfgang xavier yasmin yolanda yves
yvette yvonne zachary zbigniew zoe zofia
aarav aditi aditya aisha akira amara amir amit amina ananya anders anil anjali arjun arun asha ayesha bilal bjorn
chidi chika chinedu chioma daisuke deepak dina divya dmitry ebba eduardo emeka emre esra farid fatih femi freja gustav
hakan hamza haruto hiroshi huda idris isha jamal jin jorgen kaito kamal karthik kavita keiko kenji khadija khalid kofi
kwame lakshmi layla leila linh magnus mahmoud mamadou manoj maryam mateo meera mina mustafa nabil nadira naoko neha
nguyen nikhil nils nisha noor nour osman pooja pradeep rahul rajesh rakesh ravi rohan roshan sakura salma samir sana
sanjay santiago selin shreya siddharth signe sigrid sina sneha soren sota sunil suresh takashi tariq thandi thiago
tomoko valentino vijay vikram wei xin yara yuki yusuf zahra zainab zeynep
"""

#: Capitalised words that begin or end a pair which is no person.
_NOT_NAMES = frozenset(
    """
    a access about account act action address admin affairs after agency agent agreement airport all also america
    american an analysis and annual answer api april app apple application april architecture area article artifact as
    asia assembly assistant association at august authority avenue awareness azure bank base bay before benefits best
    board book box breast britain british budget build building business but button by call cancer candidate canyon
    capacity card care case castle cell center central centre chapter check checklist child church city class clause
    click client clinic clinical cloud club code college commission committee community company conference conflict
    congress contact content contract corp corporation council country county court create credit cup customer daily
    data database date day dear december decision default department description design detection developer diabetes
    digital directory discharge disease district division docker docs document documentation does doc dublin each east
    edition editor education email emergency employee engine engineering england english enterprise error europe
    european event every example exchange express facebook faculty false family february federal federation field file
    first five follow for force foundation four framework france free french friday from fund garden general german
    germany get github give global good google governance government grand great group guide hall health hello help
    here hi high hill history home hospital hotel house how human i if image import in inc incident index india industry
    information initiative input inquiry insert install institute insurance internal international internet into
    introduction invoice iphone is issue it its january java javascript journal july june just kingdom kubernetes lab
    laboratory lake language last law league letter library license licence life limited linux list local log london
    long ltd machine mail main major make management manager manual many march market may mayor medical medicine memo
    memorial memory mental message metropolitan microsoft ministry minutes mode model monday month more most mountain
    museum my name national nature need network neural never new news next no north not note notes notice november
    number october of office official often old on one only open operating operation or order organisation organization
    other our out output pacific page paper paris park part parliament patient patients payment people personal phone
    plan platform play please point police policy polish port post power practice premier president press price primary
    prime privacy private process product production professional program project protocol public publishing python
    quality quarter query question questions queue quick read recent record red reference region release report
    republic request research response result results review rheumatoid right risk river road roadmap room royal rule
    run rust saint sales san santa saturday school science search season second section security see select senate
    senior september server service session set several shop should show since site six social society software some
    source south southern spain special specialist spring square stack standard star start state states station status
    step stock storage store street string studies study subject such summary summer sunday supreme survey system
    systems table task tax team technical technology template temple ten terms test text than thanks that the their
    then there these they third this those three thursday ticket time times title to today token tool total tower town
    track trade training treaty true trust tuesday tutorial two type union unit united university unix until up update
    us usa use user users using valley value version very via video view village visit vitamin wall war washington
    water we web wednesday week welcome west western what when where which while white who why will windows winter
    with without word work workflow world year yes yet york you your zone
    """.split()
)
_PARTICLES = r"(?:de la|de|du|des|da|di|del|von|van|van der|la|le|zu)"
_NAME = r"(?:[DO]')?[A-Z][a-z]+(?:[-'][A-Z]?[a-z]+)?"

_PEOPLE = Patterns(
    {
        "titled": rf"\b(?:Mr|Mrs|Ms|ms|Miss|Mx|Dr|Prof|Herr|Frau|Monsieur|Madame|Mme|Mlle|Sir|Lady|pan|pani|Pan|"
        rf"Pani|Ing|"
        rf"Dipl|Senor|Senora|Signor|Signora)\.? {_NAME}",
        "role": r"(?i:\b(?:patientin|patiente|paciente|paziente|pacjent(?:ka)?|patient|kund(?:e|in)|client[ea]?|klient"
        r"(?:ka)?|mitarbeiter(?:in)?|employee?|emplead[oa]|dipendente|pracowni[ck]a?|nom|nombre|nome|naam|namn|"
        r"imie i nazwisko|sig(?:\.ra|nora|\.)?|sra?\.?|mevr(?:ouw)?|dhr|holder|customer|client|employee|"
        r"caller|user|candidate|applicant|colleague|visitor|"
        r"guest|tenant|student|pupil|member|worker|driver|contact|signed by|login of|"
        r"name|nurse for|son|daughter|wife|"
        rf"husband|mother|father))\b(?:\.[a-z_]+)?[:=]?[ \n]+(?:{_NAME}|[A-Z]\.)",
        "pair": rf"\b{_NAME}(?: [A-Z]\.?)?(?: {_PARTICLES})? {_NAME}(?: {_PARTICLES}? ?{_NAME})?",
        "acts": rf"\b{_NAME} {_NAME},? (?:is|was|has|had|takes|took|told|suffers|collapsed|disclosed|wrote|lives|"
        rf"lived|called|"
        r"asked|said|says|needs|came|went|works|worked|moved|paid|wants|wanted|died|started|stays|cannot|can't|"
        r"will|should)\b",
        "initial": rf"\b[A-Z]\. {_NAME}",
        "possessive": rf"\b{_NAME}'s\b",
        "self": r"(?i)\b(?:i am|i'm|i was|i have|i've|i had|i take|i suffer|i got|my (?:wife|husband|son|daughter|"
        r"mother|"
        r"father|mum|mom|dad|brother|sister|partner|child|kids?|doctor|gp|diagnosis|name|blood|condition|"
        r"medication))\b",
        "pronoun": r"\b(?:[Hh]e|[Ss]he|[Hh]is|[Hh]er|[Hh]im)\b",
        "born": r"(?i)\b(?:born(?: on)?|date of birth|dob|d\.o\.b\.?|geboren|ne le|nee le|urodzon[ya])\b[: ]",
    }
)
_NAMES = tuple(_PEOPLE.patterns)
#: One automaton for all of them pays in a text as short as these.
_WHICH = occurs(*_PEOPLE.patterns.values())


class Tie(IntEnum):
    """How surely a person is meant."""

    NONE = 0
    #: A pronoun, a possessive, or two capitalised words that may be a name.
    WEAK = 1
    #: A name after a title or role, a known given name with a surname, or the writer.
    STRONG = 2


@cache
def _given_names() -> frozenset[str]:
    return frozenset(_GIVEN.split())


def person_in(text: str) -> Tie:
    """Return how surely ``text``, a short folded excerpt, speaks of a certain person."""
    data = text.encode("ascii")
    best = Tie.NONE
    for name in [_NAMES[number] for number in _WHICH(data) or ()]:
        for match in _PEOPLE.find(name, data):
            best = max(best, _judge(name, match.text))
            if best is Tie.STRONG:
                return best
    return best


def _judge(rule: str, text: str) -> Tie:
    if rule in ("self", "born", "initial"):
        return Tie.STRONG
    if rule == "pronoun":
        return Tie.WEAK
    words = re.findall(r"[A-Za-z]+", text)
    last = words[-1].lower()
    if rule == "titled":
        return Tie.STRONG
    if rule == "role":
        return Tie.NONE if last in _NOT_NAMES else Tie.STRONG
    if rule == "possessive":
        return Tie.STRONG if words[0].lower() in _given_names() else Tie.NONE
    capitalised = [w.lower() for w in words if w[0].isupper()]
    if rule == "acts":
        return Tie.NONE if capitalised[0] in _NOT_NAMES else Tie.WEAK
    for given, family in pairwise(capitalised):
        if given in _given_names():
            return Tie.WEAK if family in _NOT_NAMES else Tie.STRONG
    while capitalised and capitalised[0] in _NOT_NAMES:
        del capitalised[0]
    return Tie.WEAK if len(capitalised) > 1 and not _NOT_NAMES & set(capitalised) else Tie.NONE
