# midge_embed_model(target file): `file`, a packed file, becomes a part of a program or library.
#
# C and C++ find its bytes between midge_embedded_model and midge_embedded_model_end, which
# midge_model_options.image and image_bytes take. examples/embedded_model.c shows it. The target's
# project has the language ASM.
function(midge_embed_model target file)
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(NOT "ASM" IN_LIST languages)
    message(FATAL_ERROR "midge_embed_model: the language ASM is not enabled; write project(... LANGUAGES C CXX ASM)")
  endif()
  get_filename_component(path ${file} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${target}_model.S)
  # 64: what a packed file asks of memory. The note says that no code needs an executable stack.
  file(CONFIGURE OUTPUT ${source} CONTENT [[
        .section .rodata.midge_embedded_model, "a", %progbits
        .balign 64
        .globl midge_embedded_model
        .hidden midge_embedded_model
midge_embedded_model:
        .incbin "@path@"
        .globl midge_embedded_model_end
        .hidden midge_embedded_model_end
midge_embedded_model_end:
        .byte 0
        .section .note.GNU-stack, "", %progbits
]] @ONLY)
  target_sources(${target} PRIVATE ${source})
  set_property(SOURCE ${source} APPEND PROPERTY OBJECT_DEPENDS ${path})
endfunction()
