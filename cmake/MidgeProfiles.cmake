# Profiles: what of midge is built. A profile is a set of defaults; each can be set by itself.
#
#   full  everything that the machine has the libraries for
#   core  the library and the program, with no other shared library than the system's; the default of
#         cross builds
#   iot   the library alone, which opens packed files and nothing else: for size
set(profile_default full)
if(CMAKE_CROSSCOMPILING)
  set(profile_default core)  # what full adds is seldom there for other machines
endif()
set(MIDGE_PROFILE ${profile_default} CACHE STRING "What is built: full, core or iot")
set_property(CACHE MIDGE_PROFILE PROPERTY STRINGS full core iot)
if(NOT MIDGE_PROFILE MATCHES "^(full|core|iot)$")
  message(FATAL_ERROR "MIDGE_PROFILE is '${MIDGE_PROFILE}', expected full, core or iot")
endif()

# midge_profile_default(out full core iot)
function(midge_profile_default out full core iot)
  set(${out} ${${MIDGE_PROFILE}} PARENT_SCOPE)
endfunction()

midge_profile_default(foreign ON ON OFF)
midge_profile_default(extras ON OFF OFF)
midge_profile_default(small OFF OFF ON)
midge_profile_default(static OFF ON ON)
midge_profile_default(gc OFF ON ON)
midge_profile_default(cpuinfo AUTO AUTO OFF)
midge_profile_default(profiler ON ON OFF)
set(program ${foreign})
if(NOT PROJECT_IS_TOP_LEVEL)
  set(program OFF)
endif()

option(MIDGE_FOREIGN_FILES "Open Hugging Face directories and GGUF files, not packed files alone" ${foreign})
option(MIDGE_BUILD_CLI "Build the midge program" ${program})
option(MIDGE_WITH_XNNPACK "Offer XNNPACK for dense float weights (--arithmetic xnnpack)" ${extras})
option(MIDGE_WITH_SENTENCEPIECE "Read tokenizer.model files with libsentencepiece" ${extras})
option(MIDGE_WITH_LINE_EDITOR "Edit lines in midge chat with libedit" ${extras})
set(MIDGE_WITH_CPUINFO ${cpuinfo} CACHE STRING "Clusters and caches from cpuinfo: ON, OFF, or AUTO (if it is found)")
option(MIDGE_WITH_UTF8PROC "Unicode from utf8proc; without, from smaller tables of our own" ${extras})
option(MIDGE_PROFILER "Keep what workers do where somebody asks for it (midge profile)" ${profiler})
option(MIDGE_SMALL "Compile for size, without exceptions and run-time types" ${small})
option(MIDGE_GC_SECTIONS "Leave functions that nobody calls out of programs" ${gc})
option(MIDGE_STATIC_DEPENDENCIES "Link third-party libraries statically, or build them in" ${static})
# Debian has few libraries for other machines, and few static ones.
set(fetch OFF)
if(CMAKE_CROSSCOMPILING OR MIDGE_STATIC_DEPENDENCIES)
  set(fetch ON)
endif()
option(MIDGE_FETCH_DEPENDENCIES "Download pinned sources of libraries that are not found" ${fetch})

# The server is a part of the program where the machine has what it needs (MidgeDependencies.cmake).
set(server OFF)
if(program AND extras)
  set(server AUTO)
endif()
set(MIDGE_BUILD_SERVER ${server} CACHE STRING "Build midge serve: ON, OFF, or AUTO (if Boost's headers are found)")
set(MIDGE_WITH_LLGUIDANCE AUTO CACHE STRING "Hold answers of midge serve to JSON schemas by llguidance: ON, OFF, or AUTO (if cargo is found)")

if(MIDGE_BUILD_CLI AND NOT MIDGE_FOREIGN_FILES)
  message(FATAL_ERROR "the midge program reads foreign files: MIDGE_BUILD_CLI needs MIDGE_FOREIGN_FILES")
endif()
