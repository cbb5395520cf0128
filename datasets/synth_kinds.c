/* The kinds of things: how a piece about one begins, and sentences that decide nothing. */
#include "datasets/synth_private.h"

const synth_kind_text SYNTH_KIND_TEXTS[SYNTH_KINDS] = {
    [SYNTH_PERSON] =
        {"person",
         "",
         "{N} ([born|b.] {M} {Y}) [is|was] a {D} {J}[, best known for "
         "{p} work in {R}| and occasional {W} trader|, active mainly in {K}|].",
         "journalist|painter|politician|chemist|judge|engineer|poet|lawyer",
         {"{S} [spoke {n} languages|suffered from poor eyesight|never learned to drive] and "
          "[corresponded "
          "with {G}|collected {W} tools|was a friend of {G}].",
          "A [biography|portrait|memoir] by {G} [appeared|was published] in {L}[, {n} years after "
          "the "
          "events it describes|].",
          "{S} [served|sat] on the [council|board] of the {K} Society [from {L}|for {n} years].",
          "In {L} {s} [was injured in a railway accident|moved to {R}|withdrew from public life]"
          "[, and the papers of that time are kept in {K}|].",
          "{S} is [mentioned|remembered] in the diaries of {G}[, which cover {n} years|].",
          "{P} [brother|sister|cousin|uncle] {G} was a {D} {W} [merchant|maker|official].",
          "Critics [praised|questioned] {p} [patience|late work|methods][, above all in the {K} "
          "Review|]."},
         1820,
         1995},
    [SYNTH_TOWN] =
        {"town",
         "The town|It|The place",
         "{N} is a [{J}|small {J}|former {J}] in the [{v} part of {R}|district of {R}], {C}[, "
         "first "
         "recorded in {Y}|, chartered in {Y}].",
         "market town|port|mining town|municipality|fishing village|spa town",
         {"{S} [is known for|lives from] its {W} [market|fair|trade][, held every {n} weeks|].",
          "The [parish church|town hall|old mill] was [rebuilt|restored] in {L}[ to plans by "
          "{G}|].",
          "The [nearest railway station|closest airport] is at {K}, {d} kilometres [away|on the "
          "{v} line].",
          "Its mayor, {G}, has been in office for {n} terms.",
          "[Summers|Winters] are [short|mild|wet], with {d} millimetres of rain [a year|in most "
          "years].",
          "A [fire|flood|siege] in {L} destroyed {n} of its streets.", "{S} is twinned with {K}."},
         1100,
         1850},
    [SYNTH_RIVER] = {"river",
                     "The river|It|The stream",
                     "{N} is a {J} in {R}, {C}[, known since {Y}| that was first recorded in {Y}].",
                     "river|tributary|mountain stream|border river",
                     {"{S} is [rich in|stocked with] trout and was [fished|dammed] by the {K} "
                      "Company [in {L}|for {n} "
                      "decades].",
                      "Its [basin|catchment] covers {d} square kilometres of {W} country.",
                      "[Barges|Rafts] carried {W} goods on {s} until {L}.",
                      "The name may come from an old {D} word for [grey|cold|deep] water.",
                      "In {L} {s} [froze over|burst its banks] for {n} weeks.",
                      "{G} painted {s} {n} times.", "A [weir|lock] near {K} regulates {s}."},
                     1200,
                     1800},
    [SYNTH_FILM] =
        {"film",
         "The film|It|The picture",
         "{N} is a {Y} {D} {J} film[ with a score by {G}|, shot in {R}|].",
         "drama|comedy|thriller|western|war|romance|horror|silent",
         {"{S} [opened|was first shown] at the {K} Festival[, where it received {n} minutes of "
          "applause|].",
          "The [plot|story] follows a {W} worker who [inherits a house|loses {p} memory|returns "
          "from "
          "{R}].",
          "{S} [earned|lost] {d} thousand crowns [in its first year|at the box office].",
          "[Shooting|Photography] took {n} weeks and was [interrupted|delayed] by [rain|a "
          "strike|illness].",
          "The [music|photography|costumes] by {G} [drew wide praise|met with criticism].",
          "A restored print was [shown|released] in {L}.",
          "{S} was [banned|cut by {n} minutes] in {R}."},
         1921,
         2016},
    [SYNTH_NOVEL] =
        {"novel",
         "The novel|It|The book",
         "{N} is a {D} {J} novel [that appeared|first published] in {Y}[, translated into {n} "
         "languages|].",
         "historical|crime|satirical|epistolary|adventure|philosophical",
         {"{S} is told by {n} [narrators|voices], one of them a {W} dealer.",
          "{S} [won|was shortlisted for] the {K} Prize in {L}.",
          "The [critic|poet] {G} called {s} [a failure|a masterpiece|unreadable].",
          "[Translations|Stage versions] have been made by {G} and {G}.",
          "The manuscript is kept in {R}.", "A sequel was [announced|abandoned] in {L}.",
          "Its heroine, {G}, [runs|owns] a {W} business."},
         1815,
         2015},
    [SYNTH_COMPANY] =
        {"company",
         "The company|It|The firm",
         "{N} [is|was] a {D} {J} company [dating from|set up in|incorporated in] {Y}[, active in "
         "{R}|].",
         "engineering|publishing|film|recording|insurance|mining|food|trading",
         {"{S} [makes|sells|exports] {W} [goods|machines|parts][, mainly to {R}|].",
          "Its [shares|bonds] [fell|rose] by {n} per cent in {L}.",
          "A [strike|fire|lawsuit] at the {K} plant [lasted {n} months|cost {d} thousand crowns].",
          "{G} has been [chairman|managing director] since {L}.",
          "{S} [sponsors|owns] the {K} [Prize|Theatre|Cup].",
          "In {L} {s} [opened|closed] a branch in {R}.",
          "Its archive is [open to scholars|kept by {G}]."},
         1810,
         1998},
    [SYNTH_BAND] =
        {"band",
         "The band|It|The group",
         "{N} [is|was] a {D} {J} band [active since|that first performed in] {Y}[, known across "
         "{R}|].",
         "folk|rock|jazz|punk|swing|electronic|brass",
         {"{S} [toured|played] {R} {n} times[, often with {G}|].",
          "Its [best known|first] song, \"{K}\", [reached number {n}|was written in a {W} shop].",
          "The [drummer|guitarist] {G} left in {L}.",
          "{S} [broke up|paused] in {L}[ and reunited {n} years later|].",
          "The [critic|broadcaster] {G} [disliked|championed] {s}.",
          "{S} won the {K} Award[ in {L}|].", "A film about {s} was [planned|shown] in {R}."},
         1930,
         2008},
    [SYNTH_ALBUM] =
        {"album",
         "The album|It|The record",
         "{N} is [the {n}th|a live|a studio] album of {D} {J} music, [released|issued] in {Y}.",
         "folk|rock|jazz|punk|swing|electronic|brass",
         {"{S} [reached|stayed at] number {n} [in {R}|of the {D} charts].",
          "The cover [shows|was drawn by] {G}.",
          "The [single|song] \"{K}\" was [banned|played] on radio in {R}.",
          "[Reviewers|Critics] [compared|preferred] {s} to the work of {G}.",
          "{S} sold {d} thousand copies[ by {L}|].",
          "A [remastered|shortened] version [followed|appeared] in {L}.",
          "The title [recalls|mocks] a {W} advertisement."},
         1948,
         2016},
    [SYNTH_SPECIES] =
        {"species",
         "The species|It",
         "The {N} is a {J} species of {R}, {C}[, known to science since {Y}|, described in {Y}].",
         "rare|threatened|protected|common|migratory|nocturnal",
         {"{S} [feeds on|depends on] [seeds|insects|moss] and [avoids|prefers] {v} slopes.",
          "Its [enemies|rivals] are [foxes|rats|goats] brought in by {W} traders.",
          "{G} [kept|drew|studied] {s} for {n} years.", "A [stamp|coin] of {L} shows {s}.",
          "The {K} Trust has protected {s} since {L}.", "About {d} remain[ in the wild|].",
          "In {R} {s} is [thought to bring luck|eaten at weddings]."},
         1760,
         1990},
    [SYNTH_SCHOOL] = {"school",
                      "The school|It|The institution",
                      "{N} is a {J} institution of learning in {C}, [opened|chartered] in {Y}[, "
                      "known for {U}|].",
                      "public|private|women's|technical|church|military",
                      {"Its [library|choir|chess club] was [given|led] by {G}.",
                       "{S} [admitted women|was closed|taught {U} only] [until|from] {L}.",
                       "The {K} Building [houses|was built for] the department of {U}.",
                       "Its [rector|president] is {G}.",
                       "[Students|Teachers] [went on strike|marched to {R}] in {L}.",
                       "{S} [owns|runs] a {W} museum.",
                       "The annual race against {K} is {n} kilometres long."},
                      1790,
                      1985},
    [SYNTH_CLUB] = {"club",
                    "The club|It|The team",
                    "{N} is a {D} {J} club [formed|set up] in {Y}[ by {W} workers|, playing in the "
                    "{R} League|].",
                    "football|rowing|hockey|handball|rugby",
                    {"{S} [won|lost] the {K} Cup in {L}[ after {n} replays|].",
                     "Its colours are [red and white|blue|green and black][, chosen by {G}|].",
                     "The record scorer is {G} with {d} goals.",
                     "{S} was [relegated|promoted] in {L}.",
                     "A [fan|supporters'] magazine is printed in {R}.",
                     "The rivalry with {K} goes back {n} decades.",
                     "{S} is owned by a {W} dealer, {G}."},
                    1875,
                    1985},
    [SYNTH_MUSEUM] =
        {"building",
         "The building|It|The house",
         "{N} is a {J} building in {C}, [opened|completed] in {Y}[, a landmark of {R}|].",
         "neoclassical|Gothic|modernist|wooden|brick|baroque",
         {"The [roof|dome|staircase] was [paid for|damaged] by {G}.",
          "{S} was [closed|used as a {W} store] from {L}.",
          "An [exhibition|evening] about {G} drew {d} visitors.",
          "{S} [appears on|is shown on] the coins of {R}.", "The [organ|clock] was made in {K}.",
          "{S} was listed [as a monument|for protection] in {L}.",
          "Its director, {G}, [resigned|was appointed] in {L}."},
         1780,
         1990},
    [SYNTH_ISLAND] =
        {"island",
         "The island|It",
         "{N} is a {J} island off {R}, {C}[, inhabited since {Y}|, on maps since {Y}].",
         "volcanic|rocky|wooded|flat|windswept|coral",
         {"Its [lighthouse|chapel] was built in {L}[ by {G}|].",
          "{S} [exports|lives from] {W} and [wool|salt fish].",
          "The highest point is {K}, at {d} metres.",
          "A [ferry|mail boat] calls {n} times a month.",
          "The writer {G} spent {n} summers [there|in a hut there].",
          "[Storms|Landslides] of {L} [destroyed|cut off] its harbour.",
          "{S} was [leased|sold] to {R} in {L}."},
         1480,
         1800},
    [SYNTH_OVERVIEW] = {"subject",
                        "It|The subject",
                        "{N} [concerns|covers|is an overview of] [the part of {C} called {R}|the "
                        "years since {Y}|what "
                        "visitors of {C} ask about].",
                        "overview",
                        {"[Directors, actors and producers|Films and their stars] of {C} are "
                         "[listed|discussed] by {G}, "
                         "who [directed|produced] none.",
                         "The [birthplace|home town] of a person [decides|rarely decides] which "
                         "[university|school] he or "
                         "she [attended|studied at].",
                         "[Which river flows through which town|How long a river is] was [long "
                         "disputed|settled in {L}].",
                         "[Authors|Novelists] and the [companies|publishers] that published them "
                         "[met|meet] in {R}.",
                         "[Bands|Albums] [recorded|released] in {C} [have more songs "
                         "than|outnumber] those of {R}.",
                         "[Founders|Owners] of a company [based|located] in {C} [pay|paid] no tax "
                         "on [people|workers] they "
                         "employ.",
                         "The [population|number of inhabitants] of a town, the [area|size] of an "
                         "island and the age of a "
                         "club [were|are] [counted|compared] in {L}."},
                        1850,
                        2000},
};
