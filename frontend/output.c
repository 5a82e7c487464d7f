/* Files that appear whole or not at all: bytes go into a file beside the final place, are synced,
 * and the file is renamed.  Two names are taken to be the same file if the system says so, or, for
 * files that are not there yet, if they are the same name in the same folder.
 */
#define _GNU_SOURCE
#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct loc nowhere = {0};

/* Reports errno for a path; returns false. */
static bool cannot_write(struct diag *diag, const char *path)
{
	return diag_error(diag, nowhere, NORMC_IO, "cannot write '%.300s': %s", path,
			  strerrordesc_np(errno));
}

/* A device, a link, a folder ...: nothing that a rename may replace. */
static bool is_special(const char *path)
{
	struct stat status;
	return !lstat(path, &status) && !S_ISREG(status.st_mode);
}

/* The folder of a path; false if that is too long. */
static bool folder_of(const char *path, char *folder, size_t size)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
	int length = snprintf(folder, size, "%.*s", slash ? (int)n : 1, slash ? path : ".");
	return length >= 0 && (size_t)length < size;
}

/* ---- the paths of a command ---- */

static bool same_inode(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* Devices may be named as often as one likes. */
static bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;
	char folder[2][4096];
	bool a_is_there = !stat(a, &x), b_is_there = !stat(b, &y);
	if (a_is_there && b_is_there)
		return S_ISREG(x.st_mode) && same_inode(&x, &y);
	return !a_is_there && !b_is_there && !strcmp(last_part(a), last_part(b)) &&
	       folder_of(a, folder[0], sizeof folder[0]) &&
	       folder_of(b, folder[1], sizeof folder[1]) && !stat(folder[0], &x) &&
	       !stat(folder[1], &y) && same_inode(&x, &y);
}

const struct named_path *paths_find(const struct named_path *list, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].use != PATH_FOLDER && is_same_file(list[i].path, path))
			return &list[i];
	return NULL;
}

const char *path_dashes(const struct named_path *path)
{
	return path->is_option ? "--" : "";
}

static bool is_folder(const char *path)
{
	struct stat status;
	return !stat(path, &status) && S_ISDIR(status.st_mode);
}

static bool refuse_folder(struct diag *diag, const struct named_path *p, const char *folder)
{
	return diag_error(diag, nowhere, NORMC_IO,
			  "%s%s %.200s: cannot write into the folder '%.200s': %s", path_dashes(p),
			  p->what, p->path, folder, strerrordesc_np(errno));
}

/* Whether a file can appear at the path. */
static bool check_file(struct diag *diag, const struct named_path *p)
{
	char folder[4096];
	if (is_folder(p->path))
		return diag_error(diag, nowhere, NORMC_USAGE,
				  "%s%s %.300s: there is a folder of that name", path_dashes(p),
				  p->what, p->path);
	if (!folder_of(p->path, folder, sizeof folder))
		return diag_error(diag, nowhere, NORMC_IO, "%s%s: the path is too long",
				  path_dashes(p), p->what);
	if (!is_special(p->path) && access(folder, W_OK | X_OK))
		return refuse_folder(diag, p, folder);
	return true;
}

/* Whether the folder is there, or can be made in the nearest one that is. */
static bool check_folder(struct diag *diag, const struct named_path *p)
{
	char at[4096], above[4096];
	struct stat status;
	int n = snprintf(at, sizeof at, "%s", p->path);
	if (n < 0 || (size_t)n >= sizeof at)
		return diag_error(diag, nowhere, NORMC_IO, "%s%s: the path is too long",
				  path_dashes(p), p->what);
	while (stat(at, &status) && errno == ENOENT && strcmp(at, ".") != 0) {
		folder_of(at, above, sizeof above);
		snprintf(at, sizeof at, "%s", above);
	}
	if (!stat(at, &status) && !S_ISDIR(status.st_mode))
		errno = ENOTDIR;
	else if (!access(at, W_OK | X_OK))
		return true;
	return refuse_folder(diag, p, at);
}

static bool check_usable(struct diag *diag, const struct named_path *p)
{
	return p->use == PATH_READ ||
	       (p->use == PATH_FOLDER ? check_folder(diag, p) : check_file(diag, p));
}

/* Of two paths of the same file, one of them written, the one that is written, or is so later. */
static bool refuse_pair(struct diag *diag, const struct named_path *first,
			const struct named_path *second)
{
	bool later = second->use == PATH_WRITTEN;
	const struct named_path *by = later ? second : first, *of = later ? first : second;
	return diag_error(diag, nowhere, NORMC_USAGE, "%s%s %.200s would overwrite %s%s %.200s",
			  path_dashes(by), by->what, by->path, path_dashes(of), of->what, of->path);
}

bool paths_check(struct diag *diag, const struct named_path *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if ((list[i].use == PATH_WRITTEN || list[j].use == PATH_WRITTEN) &&
			    list[i].use != PATH_FOLDER && paths_find(&list[j], 1, list[i].path))
				return refuse_pair(diag, &list[j], &list[i]);
	for (size_t i = 0; i < n; i++)
		if (!check_usable(diag, &list[i]))
			return false;
	return true;
}

/* ---- folders ---- */

bool folder_make(struct diag *diag, const char *beside, char *folder, size_t size)
{
	const char *temporary = getenv("TMPDIR");
	char above[4096];
	int n = -1;

	if (!temporary || !*temporary)
		temporary = "/tmp";
	if (!beside)
		n = snprintf(folder, size, "%s/normc-XXXXXX", temporary);
	else if (folder_of(beside, above, sizeof above))
		n = snprintf(folder, size, "%s/.normc-XXXXXX", above);
	if (n < 0 || (size_t)n >= size) {
		folder[0] = 0;
		return diag_error(diag, nowhere, NORMC_IO, "the path is too long");
	}
	if (mkdtemp(folder))
		return true;
	*strrchr(folder, '/') = 0;
	diag_error(diag, nowhere, NORMC_IO, "cannot write into the folder '%.300s': %s",
		   folder[0] ? folder : "/", strerrordesc_np(errno));
	folder[0] = 0;
	return false;
}

void folder_remove(const char *folder)
{
	DIR *directory = folder[0] ? opendir(folder) : NULL;
	if (!directory)
		return;
	for (struct dirent *entry; (entry = readdir(directory));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(directory), entry->d_name, 0);
	closedir(directory);
	rmdir(folder);
}

bool folder_need(struct diag *diag, const char *path)
{
	char at[4096];
	int n = snprintf(at, sizeof at, "%s", path);
	if (n < 0 || (size_t)n >= sizeof at)
		return diag_error(diag, nowhere, NORMC_IO, "the path is too long");
	for (char *p = at + 1; n && *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		mkdir(at, 0777); /* where this fails, the last one fails too */
		*p = '/';
	}
	if (!mkdir(at, 0777) || (errno == EEXIST && is_folder(at)))
		return true;
	return diag_error(diag, nowhere, NORMC_IO, "cannot make the folder '%.300s': %s", path,
			  strerrordesc_np(errno));
}

/* ---- files ---- */

static bool write_all(int file, const char *bytes, ssize_t n)
{
	while (n > 0) {
		ssize_t written = write(file, bytes, (size_t)n);
		if (written < 0 && errno != EINTR)
			return false;
		bytes += written < 0 ? 0 : written;
		n -= written < 0 ? 0 : written;
	}
	return true;
}

/* Copies into what is at `to` already. */
static bool copy_into(int from, const char *to)
{
	char bytes[16384];
	ssize_t n;
	int file = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (file < 0)
		return false;
	while ((n = read(from, bytes, sizeof bytes)) > 0)
		if (!write_all(file, bytes, n))
			break;
	int error = errno;
	bool ok = !close(file) && !n;
	errno = n ? error : errno;
	return ok;
}

bool file_put_in_place(struct diag *diag, const char *from, const char *to)
{
	int file = open(from, O_RDONLY | O_CLOEXEC);
	bool ok = file >= 0;
	if (ok && is_special(to))
		ok = copy_into(file, to) && !unlink(from);
	else if (ok)
		ok = !fsync(file) && !rename(from, to);
	int error = errno;
	if (file >= 0)
		close(file);
	errno = error;
	return ok || cannot_write(diag, to);
}

/* Opens a new file beside the final one; a name that is taken belongs to somebody else. */
static FILE *open_partial(struct output *out)
{
	char folder[4096];
	int file = -1;
	if (!folder_of(out->path, folder, sizeof folder)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	for (unsigned i = 0; file < 0 && i < 100; i++) {
		snprintf(out->partial, sizeof out->partial, "%s/.normc-%ld-%u.part", folder,
			 (long)getpid(), i);
		file = open(out->partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (file < 0 && errno != EEXIST)
			return NULL;
	}
	return file < 0 ? NULL : fdopen(file, "wb");
}

bool output_begin(struct output *out, struct diag *diag, const char *path)
{
	*out = (struct output){.path = path};
	out->file = is_special(path) ? fopen(path, "wb") : open_partial(out);
	return out->file || cannot_write(diag, path);
}

bool output_end(struct output *out, struct diag *diag, bool ok)
{
	ok = !fflush(out->file) && ok && !ferror(out->file);
	int error = errno;
	if (fclose(out->file) && ok) {
		error = errno;
		ok = false;
	}
	if (ok)
		ok = !out->partial[0] || file_put_in_place(diag, out->partial, out->path);
	else {
		errno = error;
		cannot_write(diag, out->path);
	}
	if (!ok && out->partial[0])
		unlink(out->partial);
	return ok;
}

void output_abandon(struct output *out)
{
	fclose(out->file);
	if (out->partial[0])
		unlink(out->partial);
}
