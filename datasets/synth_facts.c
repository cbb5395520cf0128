/* What can be said of the things of the invented world, and how it is asked for. The slots are
 * those of synth_expand(); a question's wording often differs from the statement's. */
#include "datasets/synth_private.h"

/* Facts whose object is another entity: the steps of a chain. */
#define RELATION(subject_, object_, role_, say_, np_, ask_, having_)                               \
    {                                                                                              \
        .subject = SYNTH_##subject_, .object = SYNTH_##object_, .role = role_, .say = say_,        \
        .np = np_, .ask = ask_, .having = having_                                                  \
    }

/* Facts whose object is a number: what is asked for, or compared. */
#define NUMBER(subject_, low_, high_, say_, ask_, having_, more_)                                  \
    {                                                                                              \
        .subject = SYNTH_##subject_, .object = SYNTH_LITERAL, .low = low_, .high = high_,          \
        .say = say_, .ask = ask_, .having = having_, .more = more_                                 \
    }

const synth_fact_schema SYNTH_FACTS[] = {
    RELATION(
        PERSON, TOWN, NULL,
        "{S} was born in {O}[, where {p} parents kept a small {W} shop|, the youngest of {n} "
        "children of a {W} worker|, to a family that had moved there from {K}|].|{S} [came from "
        "{O}|grew up in {O}, {p} birthplace|is a native of {O}][ and left it "
        "at the age of {t}| and kept a house there until {L}|].",
        "the [birthplace|home town|native town] of {X}|the town where {X} was born",
        "In [which|what] town was {X} born?|Where was {X} born?",
        "who was born in {O}|native to {O}"),
    RELATION(
        PERSON, SCHOOL, NULL,
        "{S} [studied {U} at|was educated at|read {U} at|took a degree in {U} from] {O}[, "
        "finishing in {L}| and returned there as a lecturer| before moving to {K}|].|{S} "
        "graduated from {O}[ with honours in {U}| in {L}| after {n} years|].",
        "the [university|school|institution] [attended by {X}|where {X} studied|from which {X} "
        "graduated]",
        "At which [institution|university|school] did {X} study?|What school did {X} attend?",
        "who [studied at|graduated from] {O}"),
    RELATION(
        PERSON, COMPANY, NULL,
        "{S} [worked for|was employed by|spent {n} years with|joined] {O}[ as an adviser| in its "
        "office in {K}| as a {W} engineer| shortly after {L}|].",
        "the [company|firm|employer] [{X} worked for|that employed {X}]|the employer of {X}",
        "[Which|What] [company|firm] employed {X}?", "who worked for {O}"),
    RELATION(PERSON, BAND, NULL,
             "{S} [played the [drums|bass|cello|organ] in|was for {n} years a member of|sang with|"
             "toured as a guest of] {O}[ until {L}| and wrote {n} of its songs|].",
             "the [band|group] [{X} played in|of which {X} was a member]|the [band|group] of {X}",
             "[Which|What] [band|group] was {X} a member of?", "who played in {O}"),
    RELATION(PERSON, CLUB, NULL,
             "{S} [played {n} seasons for|captained|kept goal for|was under contract with] {O}[ in "
             "{p} youth|, scoring {d} times|].",
             "the [club|team] {X} [played for|captained]|the [club|team] of {X}",
             "[Which|What] [club|team] did {X} play for?", "who played for {O}"),
    RELATION(PERSON, PERSON, NULL,
             "{S} [was married to|married|was the spouse of] {O}[ in {L}|, with whom {s} had {n} "
             "children|, whom {s} had met in {K}|].",
             "the [spouse|husband or wife|partner] of {X}|the person [married to {X}|{X} married]",
             "Who [married {X}|was {X} married to]?", "who married {O}"),
    RELATION(
        TOWN, RIVER, NULL,
        "{O} [flows through|runs through|crosses] {s}[, and {n} bridges span it|, dividing the "
        "old quarter from the harbour|].|{S} lies on {O}[, {n} kilometres above its mouth|, "
        "which flooded it in {L}|].",
        "the river [that flows through|that crosses|running through] {X}|the river on which {X} "
        "[lies|stands]",
        "[Which|What] river [flows through|crosses|runs through] {X}?", "[on|on the banks of] {O}"),
    RELATION(
        TOWN, ISLAND, NULL,
        "{S} [is|remains] the largest [settlement|port] of {O}[, home to {n} in ten islanders|, "
        "where the ferry from {K} calls|].|{S} stands on the {v} coast of {O}.",
        "the island [on which|where] {X} [lies|stands|is located]|the island of {X}",
        "On [which|what] island is {X} [located|found]?", "on {O}"),
    RELATION(TOWN, PERSON, "explorer",
             "{S} was [founded|established|laid out] by {O}[, who named it after a ship|, leading "
             "{d} settlers|].",
             "the [founder of|explorer who founded|person who established] {X}", "Who founded {X}?",
             "founded by {O}"),
    RELATION(RIVER, TOWN, NULL,
             "{S} [rises near|has its source near|springs from the hills above] {O}[ and is fed by "
             "{n} smaller streams|, at a height of {d} metres|].",
             "the town near the source of {X}|the town where {X} rises",
             "Near which town [does {X} rise|is the source of {X}]?", "rising near {O}"),
    RELATION(RIVER, PERSON, "surveyor",
             "{S} was first [mapped|charted|surveyed] by {O}[ on a journey of {n} months|, who "
             "reached its mouth in {L}|].",
             "the [surveyor|person|explorer] who [mapped|charted] {X}",
             "Who [mapped|charted|surveyed] {X}?", "mapped by {O}"),
    RELATION(FILM, PERSON, "film director",
             "{S} was [directed|helmed|shot] by {O}[ on a modest budget|, {p} third feature|, who "
             "also edited it|].",
             "the [director|maker] of {X}|the person who directed {X}",
             "Who [directed|was the director of] {X}?", "directed by {O}"),
    RELATION(FILM, PERSON, "actor",
             "{S} [stars|features] {O} as a {W} merchant[ who loses {d} coins| haunted by {K}|]."
             "|{O} plays the [lead|title role|villain] in {s}.",
             "the [star|lead actor|performer] [of|in] {X}|the actor who [stars in|plays in] {X}",
             "[Who|Which actor] [starred|plays|appears] in {X}?", "starring {O}"),
    RELATION(FILM, NOVEL, NULL,
             "{S} is [based on|adapted from|a free adaptation of] {O}[, although the ending was "
             "altered|, with the action moved to {K}|].",
             "the [novel|book] [on which {X} is based|adapted as {X}|that inspired {X}]",
             "[Which|What] [novel|book] is {X} based on?", "based on {O}"),
    RELATION(FILM, COMPANY, NULL,
             "{S} was [produced|financed|backed] by {O}[, which spent {d} thousand crowns on it| "
             "after {n} other studios had refused|].",
             "the [studio|company] that [produced|financed] {X}|the producer of {X}",
             "[Which|What] [company|studio] produced {X}?", "produced by {O}"),
    RELATION(NOVEL, PERSON, "novelist",
             "{S} was written by {O}[ during a stay in {K}| in {n} weeks|].|{O} [began|wrote|"
             "finished] {s} in {L}[, while ill|, after a quarrel with {p} publisher|].",
             "the [author|writer] of {X}|the [novelist|person] who wrote {X}",
             "Who [wrote|is the author of] {X}?", "written by {O}"),
    RELATION(NOVEL, COMPANY, NULL,
             "{S} was [published|printed|issued] by {O}[ in {d} copies|, after {n} refusals|].",
             "the [publisher of|firm that published] {X}|the company that [printed|issued] {X}",
             "[Which|What] [company|publisher] [published|issued] {X}?", "published by {O}"),
    RELATION(NOVEL, TOWN, NULL,
             "{S} is set in {O}[ during a winter strike|, among {W} workers|, in the years before "
             "{L}|].|The [action|plot] of {s} takes place in {O}.",
             "the [setting|town described in] {X}|the town in which {X} [is set|takes place]",
             "In [which|what] town is {X} set?", "set in {O}"),
    RELATION(
        COMPANY, PERSON, "industrialist",
        "{S} was [founded|established|started] by {O}[ with {n} workers|, a former {W} dealer|, "
        "who led it until {L}|].",
        "the [founder|first owner] of {X}|the person who [founded|established] {X}",
        "Who [founded|established|started] {X}?", "founded by {O}"),
    RELATION(COMPANY, TOWN, NULL,
             "{S} [has its headquarters|is headquartered|is based] in {O}[, in a former {W} mill|, "
             "where it employs {d} people|].",
             "the [seat|headquarters] of {X}|the town where {X} [is based|has its headquarters]",
             "In [which|what] town is {X} [based|headquartered]?", "based in {O}"),
    RELATION(COMPANY, COMPANY, NULL,
             "{S} was [bought|taken over|acquired] by {O}[ in {L}|, its rival of {n} decades|].",
             "the [owner|parent company|buyer] of {X}|the company that [acquired|bought] {X}",
             "[Which|What] company [acquired|bought|owns] {X}?", "acquired by {O}"),
    RELATION(BAND, TOWN, NULL,
             "{S} [formed|came together|was formed] in {O}[, at a {W} workers' club|, where {n} of "
             "its members had gone to school|].",
             "the [home town|origin] of {X}|the town where {X} [was formed|comes from]",
             "In [which|what] town was {X} formed?", "formed in {O}"),
    RELATION(BAND, COMPANY, NULL,
             "{S} [signed to|recorded for|had a contract with] {O}[, which released {n} of its "
             "singles|, until {L}|].",
             "the [record company|label] of {X}|the company {X} [signed to|recorded for]",
             "[Which|What] [label|record company] did {X} record for?", "signed to {O}"),
    RELATION(BAND, PERSON, "singer",
             "{S} was [fronted|led] by {O}[, who joined after {n} others had left|, known for a "
             "rough voice|].|{O} was [the singer|lead vocalist] of {s}.",
             "the [singer|lead vocalist|voice] of {X}|the person who fronted {X}",
             "Who was the [singer|lead vocalist] of {X}?", "fronted by {O}"),
    RELATION(
        ALBUM, BAND, NULL,
        "{S} was recorded by {O}[ in {n} days|, in a {W} warehouse|, its last work before {L}|]"
        ".|{O} made {s} [without a producer|in {K}|between two tours].",
        "the [band|group] that [recorded|made] {X}|the performers of {X}",
        "[Which|What] [band|group] [recorded|made] {X}?", "recorded by {O}"),
    RELATION(ALBUM, PERSON, "record producer",
             "{S} was [produced|mixed|overseen] by {O}[, who added strings to {n} songs|, then "
             "{t} years old|].",
             "the producer of {X}|the person who [produced|mixed] {X}",
             "Who [produced|was the producer of] {X}?", "produced by {O}"),
    RELATION(SPECIES, PERSON, "naturalist",
             "{S} was [first described|named|discovered] by {O}[ from {n} specimens|, who kept one "
             "alive until {L}|].",
             "the [naturalist|person] who [described|discovered|named] {X}|the discoverer of {X}",
             "Who [discovered|described|named] {X}?", "discovered by {O}"),
    RELATION(
        SPECIES, ISLAND, NULL,
        "{S} [is found only|lives|occurs] on {O}[, in {n} shrinking colonies|, below {d} metres"
        "|].|{S} is [endemic|native] to {O}.",
        "the island [where {X} [lives|is found]|to which {X} is native]",
        "On [which|what] island [does {X} live|is {X} found]?", "found on {O}"),
    RELATION(
        SPECIES, RIVER, NULL,
        "{S} [inhabits|is known from|breeds along] the banks of {O}[, where {d} were counted in "
        "{L}|, in {v} meadows|].",
        "the river along which {X} [lives|breeds|is found]",
        "Along [which|what] river does {X} [live|breed]?", "from the banks of {O}"),
    RELATION(SCHOOL, TOWN, NULL,
             "{S} is [situated|located] in {O}[, in a building of the {W} guild|, with {n} smaller "
             "sites elsewhere|].|The main campus of {s} is in {O}.",
             "the [home|seat] of {X}|the town where {X} is [located|situated]",
             "In [which|what] town is {X} [located|situated]?", "located in {O}"),
    RELATION(SCHOOL, PERSON, "educator",
             "{S} was [founded|endowed|established] by {O}[, who left it {d} thousand crowns|, its "
             "head until {L}|].",
             "the [founder|person who founded] {X}|the educator who established {X}",
             "Who [founded|established] {X}?", "founded by {O}"),
    RELATION(CLUB, TOWN, NULL,
             "{S} [is based|plays its home matches|has its ground] in {O}[, near the {W} market|, "
             "before {d} regular supporters|].",
             "the home of {X}|the town where {X} [plays|is based]",
             "In [which|what] town [is {X} based|does {X} play]?", "based in {O}"),
    RELATION(
        CLUB, PERSON, "football manager",
        "{S} [was coached by|was managed by|won {n} cups under] {O}[, until {L}|, a former {W} "
        "teacher|].",
        "the [coach|manager|trainer] of {X}|the person who [coached|managed] {X}",
        "Who [coached|managed|trained] {X}?", "coached by {O}"),
    RELATION(MUSEUM, PERSON, "architect",
             "{S} was [designed|drawn|planned] by {O}[, {p} only public work|, who died before it "
             "opened|].",
             "the [architect|designer] of {X}|the person who designed {X}",
             "Who [designed|was the architect of] {X}?", "designed by {O}"),
    RELATION(MUSEUM, TOWN, NULL,
             "{S} [stands|is situated|is located] in {O}[, opposite the {W} exchange|, {d} metres "
             "from the station|].",
             "the [location|site] of {X}|the town where {X} [stands|is located]",
             "In [which|what] town [is {X} located|does {X} stand]?", "located in {O}"),
    RELATION(
        ISLAND, PERSON, "navigator",
        "{S} was [discovered|sighted|reached] by {O}[ after {n} months at sea|, who took it for "
        "{K}|].",
        "the [navigator|discoverer|sailor] who [found|discovered|sighted] {X}",
        "Who [discovered|sighted] {X}?", "discovered by {O}"),
    RELATION(
        ISLAND, TOWN, NULL,
        "{S} is [governed|administered|supplied] from {O}[, {d} kilometres away|, since {L}|].",
        "the town [governing|administering] {X}|the town from which {X} is [governed|supplied]",
        "From [which|what] town is {X} [governed|administered]?", "governed from {O}"),

    NUMBER(PERSON, 2, 40,
           "{S} [received|was given|won] {V} [awards|prizes|medals][ in the course of {p} career|, "
           "the "
           "last of them in {K}|].",
           "How many [awards|prizes|medals] did {X} [receive|win]?", "who won {V} awards",
           "Who [won|received] more awards, {X} or {Z}?"),
    NUMBER(TOWN, 300, 98000,
           "{S} had a population of {V}[ at the last census|, most of them {W} workers| in {L}|].|"
           "{V} inhabitants [lived|were counted] in {s} [in {L}|at the last census].",
           "What is the population of {X}?|How many [people|inhabitants] live in {X}?",
           "with a population of {V}", "Which town has the larger population, {X} or {Z}?"),
    NUMBER(
        RIVER, 12, 990,
        "{S} is {V} kilometres long[, of which {n} can be sailed|].|{S} has a [length|course] of "
        "{V} kilometres.",
        "[How long is {X}|What is the length of {X}] in kilometres?",
        "with a length of {V} kilometres", "Which river is longer, {X} or {Z}?"),
    NUMBER(FILM, 61, 240,
           "{S} [runs for|has a running time of|lasts] {V} minutes[ in the version kept at {K}|].",
           "How [long|many minutes] is {X}?|What is the running time of {X}?",
           "with a running time of {V} minutes", "Which film is longer, {X} or {Z}?"),
    NUMBER(NOVEL, 90, 990,
           "{S} [has|runs to|fills] {V} pages[ and {n} chapters| in the first edition|].",
           "How many pages [does {X} have|are in {X}]?", "of {V} pages",
           "Which novel has more pages, {X} or {Z}?"),
    NUMBER(COMPANY, 20, 9900,
           "{S} [employs|employed] {V} people[ in {n} plants| at its height|, mostly in {R}|].",
           "How many [people|workers] [work for|are employed by] {X}?", "with {V} employees",
           "Which company has more employees, {X} or {Z}?"),
    NUMBER(BAND, 3, 60, "{S} [recorded|released|made] {V} [albums|records][, {n} of them in {K}|].",
           "How many [albums|records] did {X} [record|release]?", "with {V} albums",
           "Which band released more albums, {X} or {Z}?"),
    NUMBER(ALBUM, 5, 44,
           "{S} [contains|consists of|has] {V} [songs|tracks][, {n} of them instrumental|].",
           "How many [songs|tracks] are on {X}?", "of {V} tracks",
           "Which album has more tracks, {X} or {Z}?"),
    NUMBER(SPECIES, 4, 480, "{S} [grows|measures] up to {V} centimetres[ and lives {n} years|].",
           "How [large|tall|long] does {X} grow?|What size does {X} reach in centimetres?",
           "growing to {V} centimetres", "Which species grows larger, {X} or {Z}?"),
    NUMBER(SCHOOL, 150, 48000,
           "{S} has {V} students[ in {n} departments| and a choir|].|{V} students are enrolled at "
           "{s}.",
           "How many students [does {X} have|are enrolled at {X}]?", "with {V} students",
           "Which has more students, {X} or {Z}?"),
    NUMBER(
        CLUB, 900, 78000,
        "{S} plays [in|at] a [ground|stadium] that holds {V} [spectators|people].|The stadium of "
        "{s} [has a capacity of|seats] {V}[ since {L}|].",
        "What is the capacity of the stadium of {X}?|How many spectators can watch {X} at home?",
        "with a stadium for {V}", "Which has the larger stadium, {X} or {Z}?"),
    NUMBER(MUSEUM, 400, 96000,
           "{S} [holds|owns|keeps] {V} [objects|works][, of which {d} are on display|].|The "
           "collection of {s} [has|numbers] {V} objects.",
           "How many [objects|works] does {X} [hold|own]?", "with {V} objects",
           "Which collection is larger, that of {X} or that of {Z}?"),
    NUMBER(ISLAND, 3, 1900,
           "{S} [covers|has an area of] {V} square kilometres[, {n} of them arable|].",
           "What is the area of {X} in square kilometres?|How large is {X}?",
           "with an area of {V} square kilometres", "Which island is larger, {X} or {Z}?"),
};

const int SYNTH_FACT_COUNT = (int)(sizeof SYNTH_FACTS / sizeof SYNTH_FACTS[0]);
