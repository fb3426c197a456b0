# The shared library, `cmake --install`, find_package and pkg-config.
#
# Components: `program` (program, man page, completions, models), `runtime` (the shared library),
# `development` (headers, static library, CMake and pkg-config files).
include(CMakePackageConfigHelpers)

set(shared_default ON)
if(MIDGE_SMALL OR MIDGE_SANITIZE OR MIDGE_FUZZ)
  set(shared_default OFF)
endif()
option(MIDGE_BUILD_SHARED "Build the shared library beside the static one" ${shared_default})
option(MIDGE_INSTALL "Install rules, for a build of midge alone" ${PROJECT_IS_TOP_LEVEL})

# Programs that were linked with one library find another of the same number: before 1.0 each minor
# version may break them.
set(MIDGE_SOVERSION ${PROJECT_VERSION_MAJOR})
if(PROJECT_VERSION_MAJOR EQUAL 0)
  string(APPEND MIDGE_SOVERSION ".${PROJECT_VERSION_MINOR}")
endif()

get_property(used GLOBAL PROPERTY MIDGE_USED)
if(MIDGE_BUILD_SHARED AND PROJECT_IS_TOP_LEVEL)
  # The objects of the static library, which are position independent anyway.
  add_library(midge_shared SHARED $<TARGET_OBJECTS:midge>)
  midge_add_bundled_objects(midge_shared)
  add_library(midge::midge_shared ALIAS midge_shared)
  set_target_properties(midge_shared PROPERTIES
    OUTPUT_NAME midge EXPORT_NAME midge VERSION ${PROJECT_VERSION}
    SOVERSION ${MIDGE_SOVERSION} LINKER_LANGUAGE CXX
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/midge.map)
  midge_harden(midge_shared)
  target_include_directories(midge_shared INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_options(midge_shared PRIVATE -Wl,--gc-sections -Wl,-z,defs -Wl,-Bsymbolic
    -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/midge.map)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    # For systems with pages of 16 KiB, and no larger gaps than those need.
    target_link_options(midge_shared PRIVATE -Wl,-z,max-page-size=16384)
  endif()
  foreach(library IN LISTS used)
    target_link_libraries(midge_shared PRIVATE $<BUILD_INTERFACE:${library}>)
  endforeach()
endif()

if(NOT MIDGE_INSTALL)
  return()
endif()

set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/midge)
target_include_directories(midge PUBLIC $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
set_target_properties(midge PROPERTIES EXPORT_NAME midge_static)
install(TARGETS midge EXPORT midgeTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
if(TARGET midge_shared)
  install(TARGETS midge_shared EXPORT midgeTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime
    NAMELINK_COMPONENT development)
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/midge DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT development)
install(EXPORT midgeTargets NAMESPACE midge:: DESTINATION ${config_folder} COMPONENT development)

# One folder for each package, as a file belongs to one of them.
foreach(part IN ITEMS program:midge runtime:libmidge${MIDGE_SOVERSION} development:libmidge-dev)
  string(REPLACE ":" ";" part ${part})
  list(GET part 0 component)
  list(GET part 1 package)
  if((MIDGE_BUILD_CLI OR NOT component STREQUAL "program") AND
     (TARGET midge_shared OR NOT component STREQUAL "runtime"))
    install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE
      DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
  endif()
endforeach()

get_property(link_names GLOBAL PROPERTY MIDGE_LINK_NAMES)
# Static libraries are installed along, in a folder of midge's own: whoever links libmidge.a may not
# have them.
if(MIDGE_STATIC_DEPENDENCIES)
  get_property(link_files GLOBAL PROPERTY MIDGE_LINK_FILES)
  install(FILES ${link_files} DESTINATION ${CMAKE_INSTALL_LIBDIR}/midge COMPONENT development)
endif()
# The program's alone.
list(REMOVE_ITEM link_names edit)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/midgeConfig.cmake.in
  ${PROJECT_BINARY_DIR}/midgeConfig.cmake INSTALL_DESTINATION ${config_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/midgeConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/midgeConfig.cmake ${PROJECT_BINARY_DIR}/midgeConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/MidgeEmbed.cmake
  DESTINATION ${config_folder} COMPONENT development)

# pkg-config, which finds the prefix from where the file lies.
string(REGEX REPLACE "[^/]+" ".." up_to_prefix "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
list(TRANSFORM link_names PREPEND -l)
list(JOIN link_names " " private_libs)
if(MIDGE_STATIC_DEPENDENCIES)
  string(PREPEND private_libs "-L\${libdir}/midge ")
endif()
string(APPEND private_libs " -lstdc++ -lm -pthread")
set(static_libs "")
if(NOT TARGET midge_shared)
  set(static_libs " ${private_libs}")
  set(private_libs "")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/midge.pc.in ${PROJECT_BINARY_DIR}/midge.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/midge.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT development)
