# Flags shared by every target of the project.

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Warnings, language level and the arithmetic contract.
function(midge_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
  # -ffp-contract=off: a multiply and an add are fused only where the source says so, because every
  # ISA must round alike (docs/architecture.md, "Numerics").
  # -fno-trapping-math: nobody reads the floating-point exception flags; without it g++ makes no
  # vectors of selections.
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla -ffp-contract=off
    -fno-trapping-math
    $<$<BOOL:${MIDGE_WERROR}>:-Werror>)
  if(MIDGE_SANITIZE)
    # Every report ends the program: a printed line would not fail a test.
    target_compile_options(${target} PUBLIC
      -fsanitize=${MIDGE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${MIDGE_SANITIZE})
  endif()
endfunction()
