# Configures a build of midge that takes libraries from folders of their sources, and looks whether
# both libraries of midge will be made of them too. Nothing is compiled.
# usage: cmake -DSOURCE=root -DWORK=folder -P check_bundled.cmake
cmake_minimum_required(VERSION 3.22)
file(REMOVE_RECURSE ${WORK})
foreach(file IN ITEMS src/memory.c src/portable-api.c src/pthreads.c include/pthreadpool.h
        fxdiv/fxdiv.h)
  file(WRITE ${WORK}/pthreadpool/${file} "")
endforeach()
file(WRITE ${WORK}/cpuinfo/src/init.c "")
file(WRITE ${WORK}/cpuinfo/include/cpuinfo.h "")
file(WRITE ${WORK}/cpuinfo/CMakeLists.txt "add_library(cpuinfo STATIC src/init.c)\n")

execute_process(COMMAND ${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/build -G Ninja
    -DMIDGE_BUILD_SHARED=ON -DMIDGE_BUILD_TESTS=OFF -DMIDGE_BUILD_BENCH=OFF
    -DMIDGE_BUILD_CLI=OFF -DMIDGE_FETCH_DEPENDENCIES=OFF -DMIDGE_WITH_CPUINFO=ON
    -DFETCHCONTENT_SOURCE_DIR_CPUINFO=${WORK}/cpuinfo
    -DFETCHCONTENT_SOURCE_DIR_PTHREADPOOL=${WORK}/pthreadpool
    -DMIDGE_FXDIV_INCLUDE_DIR=${WORK}/pthreadpool/fxdiv
  RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "configuring: exit ${code}\n${output}")
endif()
file(STRINGS ${WORK}/build/build.ninja rules REGEX "^build libmidge[.]")
foreach(library IN ITEMS "libmidge[.]a" "libmidge[.]so[.][0-9.]+")
  foreach(object IN ITEMS pthreads.c.o init.c.o)
    if(NOT rules MATCHES "build ${library}[^;]*: [^;]*/${object}")
      message(FATAL_ERROR "${library} is made without ${object}:\n${rules}")
    endif()
  endforeach()
endforeach()
file(REMOVE_RECURSE ${WORK})
