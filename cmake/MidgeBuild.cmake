# Flags shared by every target of the project.

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# midge_harden(target): what makes a fault harder to exploit (docs/architecture.md, "Hardening").
# tests/unit/check_hardening.cmake reads it back from what was built.
function(midge_harden target)
  if(NOT MIDGE_HARDENING OR MIDGE_SANITIZE)
    return()
  endif()
  target_compile_options(${target} PRIVATE -fstack-protector-strong)
  # Both need the optimiser, and a debug build checks more by itself. -U: some compilers define it.
  target_compile_options(${target} PRIVATE
    $<$<AND:$<NOT:$<CONFIG:Debug>>,$<COMPILE_LANGUAGE:C,CXX>>:-U_FORTIFY_SOURCE>
    $<$<AND:$<NOT:$<CONFIG:Debug>>,$<COMPILE_LANGUAGE:C,CXX>>:-D_FORTIFY_SOURCE=3>
    $<$<COMPILE_LANGUAGE:CXX>:-D_GLIBCXX_ASSERTIONS>)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    # Assembly has no compiler that marks it, so a header does.
    target_compile_options(${target} PRIVATE -mbranch-protection=standard
      "$<$<COMPILE_LANGUAGE:ASM>:SHELL:-include \"${PROJECT_SOURCE_DIR}/kernels/arm64/elf_note.inc\">")
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(${target} PRIVATE -fcf-protection=full)
  endif()
  target_link_options(${target} PRIVATE -Wl,-z,relro,-z,now,-z,noexecstack)
endfunction()

# midge_size_options(target): what a small program needs of every object in it.
function(midge_size_options target)
  if(MIDGE_GC_SECTIONS)
    # Functions at multiples of 16 would leave some ten bytes between most of them.
    target_compile_options(${target} PRIVATE -ffunction-sections -fdata-sections
      -falign-functions=4)
    # Sections stay in the linker's own order. Each that needs a veneer for the Cortex-A53's erratum
    # 843419 takes a page of 4 KiB, by chance: of the same objects the program had 11 veneers with
    # sections sorted by name, 2 by alignment and 1 so (nm, e843419).
    target_link_options(${target} PRIVATE -Wl,--gc-sections)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
      # The file would be filled up to 64 KiB before what becomes read-only. Segments stay aligned to
      # that, for systems with such pages; there a part of it stays writable.
      target_link_options(${target} PRIVATE -Wl,-z,common-page-size=16384)
    endif()
  endif()
  if(MIDGE_SMALL)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C,CXX>:-Os>
      $<$<COMPILE_LANGUAGE:C,CXX>:-fno-asynchronous-unwind-tables>
      $<$<COMPILE_LANGUAGE:C,CXX>:-fno-unwind-tables>
      $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions> $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
    # Nothing unwinds: an exception of the C++ library ends the program with a table and without.
    target_link_options(${target} PRIVATE -Wl,--no-eh-frame-hdr)
  endif()
endfunction()

# midge_add_bundled_objects(target): libraries that are built from their sources (MidgeSources.cmake).
function(midge_add_bundled_objects target)
  get_property(bundled GLOBAL PROPERTY MIDGE_BUNDLED_OBJECTS)
  foreach(objects IN LISTS bundled)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
  endforeach()
endfunction()

# midge_runs_once(files...): what runs once for a model or a request. Where the program shall be small
# these files are compiled for size; the loops that take time are elsewhere.
function(midge_runs_once)
  if(MIDGE_GC_SECTIONS AND NOT MIDGE_SMALL)
    set_source_files_properties(${ARGN} TARGET_DIRECTORY midge PROPERTIES COMPILE_OPTIONS -Os)
  endif()
endfunction()

# Builds from scratch that only run the tests: what takes no time in them is not optimised.
set(MIDGE_QUICK_BUILD OFF)
if(MIDGE_UNITY AND NOT MIDGE_SANITIZE AND (CMAKE_CROSSCOMPILING OR CMAKE_BUILD_TYPE STREQUAL "Debug"))
  set(MIDGE_QUICK_BUILD ON)
endif()

# midge_takes_no_time(target): options, tables, sockets and reports: where no time goes, but most of a
# program's bytes would. After midge_compile_options.
function(midge_takes_no_time target)
  if(MIDGE_QUICK_BUILD AND NOT MIDGE_GC_SECTIONS)
    target_compile_options(${target} PRIVATE -O0)
  else()
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-Os>)
  endif()
endfunction()

# midge_compiles_alone(files...): whose names are those of other files of the folder.
function(midge_compiles_alone)
  set_source_files_properties(${ARGN} TARGET_DIRECTORY midge PROPERTIES
    SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# midge_group_by_folder(target): with MIDGE_UNITY, what is compiled together: the files of a folder,
# but for kernels, which have flags of their own.
function(midge_group_by_folder target)
  if(NOT MIDGE_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR} ${source})
    if(path MATCHES "^(engine/[a-z_]+|models|api)/.*[.]cc$")
      set_source_files_properties(${source} TARGET_DIRECTORY ${target} PROPERTIES
        UNITY_GROUP ${CMAKE_MATCH_1})
    endif()
  endforeach()
endfunction()

# midge_build_for_fuzzers(target): with MIDGE_FUZZ, what no fuzz target calls is left out, and what
# runs a model once it was accepted is not optimised, which halves its compile time. Parsers are:
# how often a second they run is what finds something.
function(midge_build_for_fuzzers target)
  if(NOT MIDGE_FUZZ)
    return()
  endif()
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR} ${source})
    if(path MATCHES "^(api|engine/speculation|engine/scheduler)/" AND NOT path MATCHES "/prefix_file[.]cc$")
      set_source_files_properties(${source} TARGET_DIRECTORY ${target} PROPERTIES HEADER_FILE_ONLY ON)
    elseif(path MATCHES "^(engine/(session|platform|ops))/.*[.]cc$")
      set(folder ${CMAKE_MATCH_1})
      get_source_file_property(alone ${source} TARGET_DIRECTORY ${target} SKIP_UNITY_BUILD_INCLUSION)
      if(MIDGE_UNITY AND NOT alone)
        set_source_files_properties(${source} TARGET_DIRECTORY ${target} PROPERTIES HEADER_FILE_ONLY ON)
        string(APPEND together_${folder} "#include \"${source}\"\n")
        list(APPEND folders ${folder})
      else()
        set_source_files_properties(${source} TARGET_DIRECTORY ${target} PROPERTIES COMPILE_OPTIONS -O0)
      endif()
    endif()
  endforeach()
  list(REMOVE_DUPLICATES folders)
  foreach(folder IN LISTS folders)
    # By hand: CMake groups no file that has options of its own.
    set(unity ${PROJECT_BINARY_DIR}/fuzz_${folder}.cc)
    file(CONFIGURE OUTPUT ${unity} CONTENT "${together_${folder}}" @ONLY)
    target_sources(${target} PRIVATE ${unity})
    set_source_files_properties(${unity} TARGET_DIRECTORY ${target} PROPERTIES COMPILE_OPTIONS -O0)
  endforeach()
endfunction()

# midge_precompile(target headers...): with MIDGE_UNITY, headers that most files of a target include
# are read once. Without, each file shows whether it includes what it needs.
function(midge_precompile target)
  if(MIDGE_UNITY)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()

# Warnings, language level and the arithmetic contract.
function(midge_compile_options target)
  target_compile_features(${target} PRIVATE cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
  # -ffp-contract=off: a multiply and an add are fused only where the source says so, because every
  # ISA must round alike (docs/architecture.md, "Numerics").
  # -fno-trapping-math: nobody reads the floating-point exception flags; without it g++ makes no
  # vectors of selections.
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla -ffp-contract=off
    -fno-trapping-math
    $<$<BOOL:${MIDGE_WERROR}>:-Werror>)
  # GCC 12 takes `"text" + std::string` for overlapping copies (GCC bug 105329, mended in 13).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE -Wno-restrict)
  endif()
  # Instrumented code confuses g++'s analysis of what is initialised.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND MIDGE_SANITIZE)
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
  endif()
  if(NOT MIDGE_LINE_NUMBERS)
    target_compile_options(${target} PRIVATE -g0)
  endif()
  midge_harden(${target})
  midge_size_options(${target})
  if(MIDGE_SANITIZE)
    # Every report ends the program: a printed line would not fail a test.
    target_compile_options(${target} PUBLIC
      -fsanitize=${MIDGE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${MIDGE_SANITIZE})
  endif()
endfunction()
