/* numpy's .npz format: a zip archive with one .npy file for each array. */
#include "io.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>

static const struct loc nowhere = {0};

/* The number of the entry NAME.npy or NAME, or of the only one; -1 after a report. */
static zip_int64_t find_entry(struct diag *diag, zip_t *archive, const char *path, const char *name)
{
	char entry[1024];
	zip_int64_t found = -1;

	if (name) {
		snprintf(entry, sizeof entry, "%s.npy", name);
		found = zip_name_locate(archive, entry, 0);
		if (found < 0)
			found = zip_name_locate(archive, name, 0);
	}
	if (found < 0 && zip_get_num_entries(archive, 0) == 1)
		found = 0;
	if (found < 0)
		diag_error(diag, nowhere, NORMC_USAGE, "'%.200s' has no array '%.100s'", path,
			   name ? name : "");
	return found;
}

static bool read_entry(struct diag *diag, zip_t *archive, zip_uint64_t number,
		       unsigned char **bytes, size_t *n)
{
	zip_stat_t status;
	zip_file_t *file = NULL;

	if (zip_stat_index(archive, number, 0, &status) || !(status.valid & ZIP_STAT_SIZE))
		return diag_error(diag, nowhere, NORMC_INVALID, "the archive is damaged");
	*n = status.size;
	*bytes = malloc(*n + 1);
	if (*bytes)
		file = zip_fopen_index(archive, number, 0);
	/* the promised size may be a lie, reading less than it is an error */
	bool ok = file && zip_fread(file, *bytes, *n) == (zip_int64_t)*n;
	if (file)
		zip_fclose(file);
	if (ok)
		return true;
	free(*bytes);
	*bytes = NULL;
	return diag_error(diag, nowhere, NORMC_INVALID, "cannot read an array: %.200s",
			  zip_strerror(archive));
}

bool npz_entry(struct diag *diag, const char *path, const char *name, unsigned char **bytes,
	       size_t *n)
{
	int code = 0;
	zip_t *archive = zip_open(path, ZIP_RDONLY, &code);

	if (!archive) {
		zip_error_t error;
		zip_error_init_with_code(&error, code);
		diag_error(diag, nowhere, NORMC_IO, "cannot open '%.300s': %s", path,
			   zip_error_strerror(&error));
		zip_error_fini(&error);
		return false;
	}
	zip_int64_t number = find_entry(diag, archive, path, name);
	bool ok = number >= 0 && read_entry(diag, archive, (zip_uint64_t)number, bytes, n);
	zip_discard(archive);
	return ok;
}
