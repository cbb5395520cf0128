#include <limits.h>
#include <stdlib.h>

#include "trainer/dist_private.h"

typedef struct launcher {
    const char *rank, *size, *local_rank, *local_size, *by;
    bool mpi;
    bool met_only; /* also set in a shell or batch script that has started no ranks */
} launcher;

static const launcher launchers[] = {
    {"SYNCOG_RANK", "SYNCOG_RANKS", "SYNCOG_LOCAL_RANK", NULL, "SYNCOG_RANKS", false, false},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE", "mpirun", true, false},
    {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", "mpirun", true, false},
    {"PMIX_RANK", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", NULL, "srun --mpi=pmix", true, false},
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", NULL, "srun", false, false},
    {"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", NULL, "Slurm", false, true},
};

static syn_status number(const char *name, int min, int max, int *value)
{
    const char *text = getenv(name);
    char *end = NULL;
    const long v = text ? strtol(text, &end, 10) : 0;
    if (!text || end == text || *end || v < min || v > max) {
        return syn_fail(SYN_ERR_USAGE, "%s is \"%s\", not a number from %d to %d", name,
                        text ? text : "", min, max);
    }
    *value = (int)v;
    return SYN_OK;
}

/* A hint only: nonsense counts as unknown. */
static int hint(const char *name, int otherwise)
{
    int value = otherwise;
    if (!name || !getenv(name) || number(name, 0, INT_MAX, &value) != SYN_OK) return otherwise;
    return value;
}

/* The first launcher whose two variables are there. */
static const launcher *find_launcher(bool mpi_only, bool met)
{
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        const launcher *l = &launchers[i];
        if ((mpi_only && !l->mpi) || (l->met_only && !met)) continue;
        if (getenv(l->rank) && getenv(l->size)) return l;
    }
    return NULL;
}

syn_status syn_dist_launch_read(bool mpi_only, bool met, syn_dist_launch *launch)
{
    const launcher *l = find_launcher(mpi_only, met);
    *launch = (syn_dist_launch){.size = 1, .by = "nobody"};
    if (!mpi_only && !getenv("SYNCOG_RANK") != !getenv("SYNCOG_RANKS")) {
        return syn_fail(SYN_ERR_USAGE, "SYNCOG_RANK and SYNCOG_RANKS go together: %s is missing",
                        getenv("SYNCOG_RANK") ? "SYNCOG_RANKS" : "SYNCOG_RANK");
    }
    if (!l) return SYN_OK;
    SYN_RETURN_IF(number(l->size, 1, SYN_RANKS_MAX, &launch->size));
    SYN_RETURN_IF(number(l->rank, 0, launch->size - 1, &launch->rank));
    launch->local_rank = hint(l->local_rank, 0);
    launch->local_size = hint(l->local_size, 0);
    launch->mpi = l->mpi;
    launch->by = l->by;
    return SYN_OK;
}

int syn_dist_local_rank(void)
{
    const launcher *l = find_launcher(false, true);
    return l ? hint(l->local_rank, 0) : 0;
}

int syn_dist_local_size(void)
{
    const launcher *l = find_launcher(false, true);
    if (!l || hint(l->size, 0) == 1) return 1;
    return hint(l->local_size, 0);
}
