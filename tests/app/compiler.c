/* An application that has the compiler inside: loads the model that it is given, compiles it for
 * this process and runs it once on zeros. */
#include <normc.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	static float image[784], scores[10];
	struct normc_error error = {NORMC_OK, ""};
	struct normc_model *model = NULL;
	struct normc_program *program = NULL;
	struct normc_session *session = NULL;
	struct normc_tensor in = {image, NORMC_F32, 4, {1, 1, 28, 28}}, out = {.data = scores};
	if (argc != 2)
		return NORMC_USAGE;
	enum normc_status status = normc_model_load(&model, argv[1], NULL, &error);
	if (!status)
		status = normc_compile(&program, model, NULL, &error);
	if (!status)
		status = normc_session_new(&session, program, NULL, &error);
	if (!status)
		status = normc_session_bind(session, &in, &out, &error);
	if (!status)
		status = normc_run(session, &in, &out, &error);
	normc_session_free(session);
	normc_program_free(program);
	normc_model_free(model);
	printf("compiler inside: %s %s\n", normc_status_text(status), error.text);
	return (int)status;
}
