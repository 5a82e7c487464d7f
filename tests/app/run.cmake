# cmake -DBUILD= -DSOURCE= -DC_COMPILER= -DCXX_COMPILER= -P run.cmake
#
# Installs the build into a folder, moves that folder, builds the application against it by the CMake package
# and by pkg-config, and runs it.
set(work ${BUILD}/app)
set(root ${work}/moved)
file(REMOVE_RECURSE ${work})

function(run)
	execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
	if(NOT status EQUAL 0)
		message(FATAL_ERROR "${ARGN}: ${status}\n${output}")
	endif()
	set(output "${output}" PARENT_SCOPE)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/installed)
file(RENAME ${work}/installed ${root})
run(${CMAKE_COMMAND} -S ${SOURCE}/tests/app -B ${work}/build -G Ninja -DCMAKE_PREFIX_PATH=${root}
	-DCMAKE_C_COMPILER=${C_COMPILER} -DCMAKE_CXX_COMPILER=${CXX_COMPILER} -DCMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${work}/build)
set(model ${SOURCE}/tests/models/fashion_resnet.onnx)
foreach(program app_c app_cxx)
	run(${work}/build/${program})
	message(STATUS "${output}")
endforeach()
run(${work}/build/app_compiler ${model})
message(STATUS "${output}")

# normc verify as tests of the application, with their reports.
run(${CMAKE_CTEST_COMMAND} --test-dir ${work}/build --output-on-failure)
file(READ ${work}/build/resnet_is_equal.xml right)
file(READ ${work}/build/resnet_is_vit.xml wrong)
if(right MATCHES "<failure" OR NOT right MATCHES "classname=\"rewrite[.]" OR NOT wrong MATCHES "<failure")
	message(FATAL_ERROR "the reports are wrong:\n${right}${wrong}")
endif()

# The same by pkg-config.
file(GLOB_RECURSE found ${root}/*/normc.pc)
get_filename_component(folder ${found} DIRECTORY)
set(ENV{PKG_CONFIG_PATH} ${folder})
run(${C_COMPILER} -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c ${root}/include/normc.h)
run(sh -c "${C_COMPILER} ${SOURCE}/tests/app/compiler.c -o ${work}/compiler $(pkg-config --cflags --libs normc)")
run(${work}/compiler ${model})
set(generated ${work}/build/fashion_resnet.normc)
run(sh -c "${CXX_COMPILER} ${SOURCE}/tests/app/main.cc -I${generated} ${generated}/fashion_resnet.a \
	-o ${work}/main $(pkg-config --cflags --libs normc_rt)")
run(${work}/main)
# The typed entry points need nothing but the archive.
run(${C_COMPILER} -std=c11 -Wall -Wextra -Wpedantic -Werror -I${generated} ${SOURCE}/tests/app/main.c
	${generated}/fashion_resnet.a -lm -lpthread -o ${work}/plain)
run(${work}/plain)
