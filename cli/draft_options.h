// Drafts on the command line: the options, and what a run says of them.
#pragma once

#include <cstdint>
#include <vector>

#include "cli/common.h"
#include "cli/open_model.h"

namespace midge {

/// --draft and what belongs to it; with `auto` where nobody says otherwise.
void add_draft_options(CommandLine& app, RunOptions& options);

/// --draft-remember: for commands that serve several requests.
CommandOption* add_draft_remember_option(CommandLine& app, RunOptions& options);

/// Errors: invalid_argument (an option for a drafter that was not asked for).
Status check_draft_options(const RunOptions& options);

/// What they ask for, but for the counts of tokens.
DraftOptions draft_options(const RunOptions& options);

/// How often tokens come, of --importance; empty without. Errors: those of Importance::load.
Result<std::vector<uint32_t>> token_counts(const RunOptions& options);

/// "MTP layer    93.8 % of 65 drafts right ..."; nothing if it was not measured.
void print_acceptance(const MtpAcceptance& acceptance);
/// Member "mtp_acceptance", the same.
void write_acceptance_json(JsonWriter& json, const MtpAcceptance& acceptance);

/// "drafts: 41 of 60 right, in 55 of 80 steps; 1.51 tokens a step" on stderr, if there were some,
/// and what a step of several rows takes.
void report_drafts(const GenerateResult& result, const OpenedModel& loaded);

/// Member "drafts": how many were right by their place, what steps take. Nothing without drafts.
void write_drafts(JsonWriter& json, const GenerateResult& result, const OpenedModel& loaded);

}  // namespace midge
