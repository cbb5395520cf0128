/* Names: syllables joined into invented words, and these into names by the kind of thing. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "datasets/synth_private.h"

static const char *const ONSETS[] = {
    "B",  "Br", "C", "Ch", "D",  "Dr", "F",  "Fl", "G",  "Gr", "H",  "J",  "K", "Kr",
    "L",  "M",  "N", "P",  "Pr", "Qu", "R",  "S",  "Sh", "Sk", "Sl", "St", "T", "Th",
    "Tr", "V",  "W", "Y",  "Z",  "Bl", "Cl", "Gl", "Pl", "Sv", "Tw", "",   "",  ""};
static const char *const NUCLEI[] = {"a", "e", "i", "o", "u",  "a",  "e", "o",
                                     "i", "a", "e", "o", "ea", "ai", "é", "ö"};
static const char *const MIDDLES[] = {
    "l",  "r",  "n",  "m",  "s",  "t",  "d",  "v",  "k",  "g",  "b",  "th", "ll", "rr", "nn", "st",
    "nd", "rl", "lm", "rb", "rd", "nt", "sk", "rn", "ld", "mb", "lv", "rv", "ng", "lk", "ss", "sh",
    "rg", "dr", "br", "pp", "tt", "z",  "f",  "lt", "rm", "ns", "rk", "gr", "nk", "lb", "mp", "ch"};
static const char *const ENDINGS[] = {
    "a",   "o",   "en",  "er",  "in",  "is",  "on",  "ar",  "el",  "eth", "ow",  "ey",
    "as",  "ine", "ard", "ock", "ick", "an",  "and", "orn", "us",  "ina", "ett", "olt",
    "ira", "une", "ave", "ith", "oss", "ell", "il",  "am",  "ode", "ura", "esk", "ist"};

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

int synth_below(synth_world *w, int n)
{
    return (int)syn_rng_below(&w->rng, (uint32_t)n);
}

int synth_between(synth_world *w, int low, int high)
{
    return low + synth_below(w, high - low + 1);
}

bool synth_chance(synth_world *w, double p)
{
    return (double)syn_rng_uniform(&w->rng) < p;
}

void synth_stem(synth_world *w, char *out, size_t bytes)
{
    const char *onset = ONSETS[synth_below(w, COUNT(ONSETS))];
    /* Accents, the last two nuclei, are rare, and no word begins with one. */
    int nucleus = synth_below(w, COUNT(NUCLEI) - (*onset && synth_chance(w, 0.2) ? 0 : 2));
    const char *middle = MIDDLES[synth_below(w, COUNT(MIDDLES))], *more = "", *last = "";
    if (synth_chance(w, 0.4)) {
        more = NUCLEI[synth_below(w, COUNT(NUCLEI) - 4)];
        last = MIDDLES[synth_below(w, COUNT(MIDDLES))];
    }
    snprintf(out, bytes, "%s%s%s%s%s%s", onset, NUCLEI[nucleus], middle, more, last,
             ENDINGS[synth_below(w, COUNT(ENDINGS))]);
    out[0] = (char)toupper((unsigned char)out[0]);
}

void synth_pick(synth_world *w, const char *words, char *out, size_t bytes)
{
    int count = 1;
    for (const char *p = words; *p; p++) count += *p == '|';
    int take = synth_below(w, count);
    const char *p = words;
    for (; take; p++) take -= *p == '|';
    snprintf(out, bytes, "%.*s", (int)strcspn(p, "|"), p);
}

void synth_name_world(synth_world *w)
{
    for (int i = 0; i < SYNTH_COUNTRIES; i++) {
        char stem[24], ending[8];
        synth_stem(w, stem, sizeof stem);
        synth_pick(w, "ia|land|mark|ovia|ora", ending, sizeof ending);
        snprintf(w->country[i], sizeof w->country[i], "%s%s", stem, ending);
        synth_pick(w, "ian|ish|ese|ovian|ite", ending, sizeof ending);
        snprintf(w->demonym[i], sizeof w->demonym[i], "%s%s", stem, ending);
    }
    for (int i = 0; i < SYNTH_SHARED_NAMES; i++) {
        synth_stem(w, w->shared[i], sizeof w->shared[i]);
    }
}

static const char *const PATTERNS[SYNTH_KINDS] = {
    [SYNTH_TOWN] =
        "%s|%ston|%sburg|%smouth|Port %s|%s Heath|Upper %s|Saint %s|%s Bay|%sford|New %s|"
        "%s Falls|%shaven",
    [SYNTH_RIVER] = "River %s|%s River|%s Creek|%s Water|North %s River",
    [SYNTH_FILM] =
        "The %s Crossing|Return to %s|The Last Train to %s|A Winter in %s|%s at Midnight|"
        "The Ghosts of %s|Nobody Leaves %s|The %s Inheritance|Farewell, %s|The Road to %s|"
        "Seven Days in %s|The %s Letters|Lights over %s|%s Nights|Beyond %s|Young %s",
    [SYNTH_NOVEL] =
        "The House of %s|The %s Notebooks|A Child of %s|The Clockmaker of %s|%s Burning|"
        "The Keeper of %s|Songs for %s|The %s Winter|An Orchard in %s|The Bells of %s|"
        "All the %s Summers|Letters from %s|The %s Wager|Under %s Hill",
    [SYNTH_COMPANY] = "%s Industries|%s Motors|%s & Sons|%s Electric|%s Press|%s Brewing Company|"
                      "%s Shipping Line|%s Pictures|%s Records|%s Instruments|%s Textile Works|"
                      "%s Foods|%s Airways",
    [SYNTH_BAND] = "The %s Brothers|%s Parade|The %ss|Electric %s|%s and the Lanterns|Kings of %s|"
                   "The %s Quartet|%s Machine|Paper %s|The %s Orchestra|Black %s",
    [SYNTH_ALBUM] = "Songs from %s|Live at %s|%s Blue|The %s Sessions|Under a %s Sky|Leaving %s|"
                    "Dear %s|Echoes of %s|%s Radio|Rain on %s|Slow Train to %s|Postcards from %s",
    [SYNTH_SPECIES] = "%s warbler|%s tree frog|%s pine|%s orchid|%s shrew|%s skink|%s sedge|"
                      "%s sparrow|%s newt|%s beetle|%s thistle|%s vole",
    [SYNTH_SCHOOL] = "University of %s|%s College|%s Technical Institute|%s Academy of Arts|"
                     "%s State University|%s School of Mines|%s Conservatory",
    [SYNTH_CLUB] = "%s United|%s Rovers|%s Athletic Club|%s City|Sporting %s|%s Wanderers|"
                   "%s Hawks|%s Harriers|Dynamo %s",
    [SYNTH_MUSEUM] = "%s Museum of Art|%s Maritime Museum|%s Gallery|%s Opera House|%s Observatory|"
                     "%s Library|%s Memorial Hall|%s Theatre|%s Castle",
    [SYNTH_ISLAND] = "%s Island|Isle of %s|%s Atoll|%s Skerries|Great %s Island|%s Rock",
    [SYNTH_OVERVIEW] = "Cinema of %s|Rivers of %s|Literature of %s|List of companies of %s|"
                       "Music of %s|Education in %s|Football in %s|List of towns in %s|"
                       "Wildlife of %s|Tourism in %s|History of %s",
};

/* Whether a mention of the name could mean two things. */
static bool name_taken(const synth_world *w, const char *name)
{
    for (int i = 0; i < w->entity_count; i++) {
        if (!strcmp(w->entities[i].name, name)) return true;
    }
    return false;
}

/* First and last name. The one who is alike shares either, more often the last. */
static void name_person(synth_world *w, synth_entity *e, const synth_entity *like)
{
    synth_stem(w, e->first, sizeof e->first);
    synth_stem(w, e->stem, sizeof e->stem);
    if (like && like->kind == SYNTH_PERSON) {
        if (synth_chance(w, 0.7))
            memcpy(e->stem, like->stem, sizeof e->stem);
        else
            memcpy(e->first, like->first, sizeof e->first);
    } else if (like) {
        memcpy(e->stem, like->stem, sizeof e->stem);
    }
    if (synth_chance(w, 0.12)) {
        snprintf(e->name, sizeof e->name, "%s %c. %s", e->first, 'A' + synth_below(w, 23), e->stem);
    } else {
        snprintf(e->name, sizeof e->name, "%s %s", e->first, e->stem);
    }
}

/* Puts the stem into one of the patterns of the kind. */
static void name_thing(synth_world *w, synth_entity *e, const synth_entity *like)
{
    char pattern[48];
    if (like)
        memcpy(e->stem, like->stem, sizeof e->stem);
    else
        synth_stem(w, e->stem, sizeof e->stem);
    if (e->kind == SYNTH_OVERVIEW) {
        snprintf(e->stem, sizeof e->stem, "%s", w->country[e->country]);
    }
    synth_pick(w, PATTERNS[e->kind], pattern, sizeof pattern);
    const char *at = strstr(pattern, "%s");
    snprintf(e->name, sizeof e->name, "%.*s%s%s", (int)(at - pattern), pattern, e->stem, at + 2);
}

void synth_name_entity(synth_world *w, synth_entity *e, const synth_entity *like)
{
    const char *noun = SYNTH_KIND_TEXTS[e->kind].noun;
    for (int attempt = 0; attempt < 64; attempt++) {
        /* There are few overviews of a country, and few patterns of a kind. */
        if (attempt == 16) like = NULL;
        if (e->kind == SYNTH_OVERVIEW && attempt % 8 == 7)
            e->country = synth_below(w, SYNTH_COUNTRIES);
        if (e->kind == SYNTH_PERSON)
            name_person(w, e, like);
        else
            name_thing(w, e, like);
        if (!name_taken(w, e->name)) break;
    }
    memcpy(e->title, e->name, sizeof e->title);
    if (e->kind != SYNTH_OVERVIEW && synth_chance(w, 0.08)) {
        snprintf(e->title, sizeof e->title, "%.50s (%.40s)", e->name,
                 e->kind == SYNTH_PERSON ? e->job : noun);
    }
}
