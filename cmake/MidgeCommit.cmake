# Writes OUT, a header with the commit that is built: run at every build, rewritten when it changes.
# cmake -DSOURCE=folder -DOUT=file -P MidgeCommit.cmake
set(commit "no commit known")
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=10 --match "v*"
  OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE code)
# A copy of the sources inside of another repository has that one's commits.
execute_process(COMMAND git -C ${SOURCE} rev-parse --show-cdup
  OUTPUT_VARIABLE up OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(code EQUAL 0 AND up STREQUAL "")
  set(commit "commit ${described}")
endif()
set(text "#define MIDGE_COMMIT \"${commit}\"\n")
set(before "")
if(EXISTS ${OUT})
  file(READ ${OUT} before)
endif()
if(NOT before STREQUAL text)
  file(WRITE ${OUT} "${text}")
endif()
