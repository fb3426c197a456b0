// Which cores passes run on and what was done there, for reports.
#pragma once

#include <cstdio>

#include "engine/formats/json_writer.h"
#include "engine/platform/worker_team.h"

namespace midge {

/// The cores, their clusters, and the cores of each class of passes with the reason.
void print_cores(const Topology& topology, const CoreChoice& choice);
/// The same as members "topology" and "core_sets".
void write_cores(JsonWriter& json, const Topology& topology, const CoreChoice& choice);

/// A line per class of passes and core: how many passes, how much of their time it worked, how much
/// it lacked its core, and its rate. Nothing of a team that did nothing.
void print_core_work(std::FILE* stream, const WorkerTeam& team);
/// The same as a member "cores", with the masks that were refused.
void write_core_work(JsonWriter& json, const WorkerTeam& team);

}  // namespace midge
