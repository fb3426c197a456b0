# llguidance is built by cargo: whether that can be, and where its sources are.
#
# Sets MIDGE_WITH_LLGUIDANCE to ON or OFF, MIDGE_CARGO and MIDGE_LLGUIDANCE_SOURCES. A cross build has
# to ask for it, with a cargo whose default target is the machine's; that was not tried.
function(midge_find_llguidance out reason)
  set(${out} OFF PARENT_SCOPE)
  if(MIDGE_WITH_LLGUIDANCE STREQUAL "AUTO" AND CMAKE_CROSSCOMPILING)
    set(${reason} "cross builds have to ask for it" PARENT_SCOPE)
    return()
  endif()
  if(MIDGE_WITH_LLGUIDANCE STREQUAL "AUTO" AND MIDGE_SANITIZE)
    set(${reason} "left out beside sanitizers" PARENT_SCOPE)
    return()
  endif()
  find_program(MIDGE_CARGO NAMES cargo DOC "Builds llguidance")
  mark_as_advanced(MIDGE_CARGO)
  if(NOT MIDGE_CARGO)
    set(${reason} "cargo was not found (Debian: cargo-web)" PARENT_SCOPE)
    return()
  endif()
  # Fetches what is not there yet. Its answer names the folder of every crate.
  if(NOT EXISTS "${MIDGE_LLGUIDANCE_SOURCES}/llguidance.h")
    execute_process(
      COMMAND ${MIDGE_CARGO} metadata --locked --format-version 1
        --manifest-path ${PROJECT_SOURCE_DIR}/server/schema/llguidance/Cargo.toml
      OUTPUT_VARIABLE metadata ERROR_VARIABLE error RESULT_VARIABLE code)
    if(NOT code EQUAL 0)
      string(STRIP "${error}" error)
      set(${reason} "its sources could not be had: ${error}" PARENT_SCOPE)
      return()
    endif()
    string(REGEX MATCH "\"manifest_path\":\"([^\"]*/llguidance-[0-9.]+)/Cargo[.]toml\"" match
      "${metadata}")
    set(MIDGE_LLGUIDANCE_SOURCES ${CMAKE_MATCH_1} CACHE INTERNAL "Folder of llguidance.h")
  endif()
  set(${out} ON PARENT_SCOPE)
endfunction()

if(NOT MIDGE_WITH_LLGUIDANCE STREQUAL "OFF")
  midge_find_llguidance(found reason)
  if(NOT found AND MIDGE_WITH_LLGUIDANCE STREQUAL "ON")
    message(FATAL_ERROR "llguidance: ${reason}. Set MIDGE_WITH_LLGUIDANCE=OFF to do without.")
  endif()
  if(found)
    midge_note_dependency(llguidance "built by cargo from ${MIDGE_LLGUIDANCE_SOURCES}")
  else()
    midge_note_dependency(llguidance "not used: ${reason}")
  endif()
  set(MIDGE_WITH_LLGUIDANCE ${found})
endif()
