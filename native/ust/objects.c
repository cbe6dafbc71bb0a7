#define _GNU_SOURCE
#include "ust/objects.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTIONS_MAX 4096u
#define DEBUG_LINK_SECTION ".gnu_debuglink"

struct listing {
    struct weft_object *first, **end;
};

/* ---- what lies in memory; the loader's lock is held ---- */

static const ElfW(Phdr) *lowest_segment(const struct dl_phdr_info *info)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_LOAD)
            return &info->dlpi_phdr[i];
    }
    return NULL;
}

static uint64_t end_of(const struct dl_phdr_info *info)
{
    uint64_t end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && p->p_vaddr + p->p_memsz > end)
            end = p->p_vaddr + p->p_memsz;
    }
    return end;
}

/* Not everything that a file's notes say is loaded. */
static int is_loaded(const struct dl_phdr_info *info, const ElfW(Phdr) *note)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && (p->p_flags & PF_R) && note->p_vaddr >= p->p_vaddr &&
            note->p_vaddr + note->p_filesz <= p->p_vaddr + p->p_filesz)
            return 1;
    }
    return 0;
}

static size_t aligned(size_t bytes, size_t alignment)
{
    return (bytes + alignment - 1) & ~(alignment - 1);
}

/* One segment of notes: name, kind and bytes each. */
static void find_build_id(struct weft_object *o, const uint8_t *notes, size_t length, size_t alignment)
{
    ElfW(Nhdr) head;
    for (size_t at = 0; at + sizeof(head) <= length;) {
        memcpy(&head, notes + at, sizeof(head));
        const size_t name = at + sizeof(head);
        const size_t bytes = name + aligned(head.n_namesz, alignment);
        if (bytes > length || head.n_descsz > length - bytes)
            return;
        if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == sizeof(ELF_NOTE_GNU) &&
            memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 && head.n_descsz <= WEFT_BUILD_ID_MAX) {
            o->build_id_bytes = head.n_descsz;
            memcpy(o->build_id, notes + bytes, head.n_descsz);
            return;
        }
        at = bytes + aligned(head.n_descsz, alignment);
    }
}

static void read_notes(struct weft_object *o, const struct dl_phdr_info *info)
{
    for (int i = 0; i < info->dlpi_phnum && o->build_id_bytes == 0; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_NOTE && is_loaded(info, p))
            find_build_id(o, (const uint8_t *)(info->dlpi_addr + p->p_vaddr), p->p_filesz, p->p_align == 8 ? 8 : 4);
    }
}

static struct weft_object *new_object(const char *name)
{
    const size_t bytes = strlen(name) + 1;
    struct weft_object *o = calloc(1, sizeof(*o) + bytes);
    if (o)
        memcpy(o->path, name, bytes);
    return o;
}

static int note_object(struct dl_phdr_info *info, size_t size, void *context)
{
    struct listing *l = context;
    const ElfW(Phdr) *lowest = lowest_segment(info);
    (void)size;
    if (!lowest)
        return 0;
    struct weft_object *o = new_object(info->dlpi_name ? info->dlpi_name : "");
    if (!o)
        return 1;
    o->base = info->dlpi_addr + lowest->p_vaddr;
    o->bytes = end_of(info) - lowest->p_vaddr;
    o->relocated = info->dlpi_addr != 0;
    read_notes(o, info);
    *l->end = o;
    l->end = &o->next;
    return 0;
}

/* ---- what lies in files; no lock of the loader's is held ---- */

/* The loader gives the program no name, and what the kernel itself provides no path. */
static int place_of(const struct weft_object *o, char path[PATH_MAX])
{
    if (!o->path[0]) {
        const ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
        path[length > 0 ? length : 0] = 0;
        return length > 0;
    }
    return strchr(o->path, '/') && realpath(o->path, path);
}

/* The same object under the path that a reader finds it by. */
static struct weft_object *placed(struct weft_object *o)
{
    char path[PATH_MAX];
    struct weft_object *next = o->next;
    const int in_file = place_of(o, path);
    if (!in_file && strchr(o->path, '/'))
        return o;
    if (!in_file) {
        snprintf(path, sizeof(path), "[%s]", o->path);
        o->bytes = 0;
    }
    struct weft_object *named = new_object(path);
    if (!named)
        return o;
    memcpy(named, o, sizeof(*o));
    named->next = next;
    free(o);
    return named;
}

struct weft_object *weft_objects_list(void)
{
    struct listing l = { NULL, &l.first };
    dl_iterate_phdr(note_object, &l);
    for (struct weft_object **link = &l.first; *link; link = &(*link)->next)
        *link = placed(*link);
    return l.first;
}

void weft_objects_free(struct weft_object *list)
{
    while (list) {
        struct weft_object *next = list->next;
        free(list);
        list = next;
    }
}

static int read_at(int fd, void *to, size_t bytes, uint64_t offset)
{
    return offset <= INT64_MAX && pread(fd, to, bytes, (off_t)offset) == (ssize_t)bytes;
}

/* Does the section's name, which lies in the section `names`, say that it is the one? */
static int is_debug_link(int fd, const ElfW(Shdr) *section, const ElfW(Shdr) *names)
{
    char name[sizeof(DEBUG_LINK_SECTION)];
    return read_at(fd, name, sizeof(name), names->sh_offset + section->sh_name) && memcmp(name, DEBUG_LINK_SECTION, sizeof(name)) == 0;
}

/* A name, NUL, padding to four bytes, checksum. */
static void read_debug_link(struct weft_object *o, int fd, const ElfW(Shdr) *section)
{
    char bytes[WEFT_DEBUG_LINK_MAX + 8];
    const size_t length = section->sh_size;
    if (length < 8 || length > sizeof(bytes) || !read_at(fd, bytes, length, section->sh_offset))
        return;
    const size_t name = strnlen(bytes, length);
    if (name >= WEFT_DEBUG_LINK_MAX || aligned(name + 1, 4) + 4 > length)
        return;
    memcpy(o->debug_link, bytes, name + 1);
    memcpy(&o->debug_crc, bytes + aligned(name + 1, 4), 4);
    o->has_debug_link = 1;
}

static void read_sections(struct weft_object *o, int fd)
{
    ElfW(Ehdr) head;
    ElfW(Shdr) names, section;
    if (!read_at(fd, &head, sizeof(head), 0) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_shentsize != sizeof(section) || head.e_shnum > SECTIONS_MAX || head.e_shstrndx >= head.e_shnum ||
        !read_at(fd, &names, sizeof(names), head.e_shoff + (uint64_t)head.e_shstrndx * sizeof(names)))
        return;
    /* Tools put it near the end. */
    for (uint32_t i = head.e_shnum; i-- > 0;) {
        if (!read_at(fd, &section, sizeof(section), head.e_shoff + (uint64_t)i * sizeof(section)))
            return;
        if (section.sh_type == SHT_PROGBITS && is_debug_link(fd, &section, &names)) {
            read_debug_link(o, fd, &section);
            return;
        }
    }
}

void weft_object_read_file(struct weft_object *o)
{
    struct stat st;
    if (o->path[0] != '/')
        return;
    /* Whatever lies at that path by now: nothing that one could wait at. */
    const int fd = open(o->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        read_sections(o, fd);
    close(fd);
}
