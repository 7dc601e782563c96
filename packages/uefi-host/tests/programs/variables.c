/* Sets the variables that \steps.bin on its own volume lists, one after the other, and prints what SetVariable answers
   and what is there then: lines "C:name value". A step is a name of 32 characters, a vendor, attributes, a size, and
   data padded to a multiple of eight bytes; one without attributes and size is only read, and one with all attributes is
   an image to load: with the device path below if its name is "path", else without one. What a firmware records of the
   images that it refuses is printed after each: how many there are, and the last record. */
#include "answers.h"

static const uint8_t security[16] = EFI_IMAGE_SECURITY_DATABASE_GUID;
/* A vendor's hardware node, a file path node and the end. */
static const uint8_t image_path[] = {1,   4,   20,  0,   0x11, 0x22, 0x33, 0x44, 1,   2,   3,   4,   5,   6,   7,   8,
                                     9,   10,  11,  12,  4,    4,    18,   0,    '\\', 0, 'i', 0,   '.', 0,   'e', 0,
                                     'f', 0,   'i', 0,   0,    0,    0x7f, 0xff, 4,   0};

struct step {
  uint16_t name[32];
  uint8_t vendor[16];
  uint32_t attributes, size;
  uint8_t data[];
};

static void show_variable(const char *name, const uint16_t *variable, const uint8_t *vendor, uint8_t *buffer) {
  uint32_t attributes = 0;
  uint64_t size = 65536, sum = 0xcbf29ce484222325ull;
  uint64_t status = rs->GetVariable(P(variable), P(vendor), P(&attributes), P(&size), buffer);
  if (status) {
    show(name, status);
    return;
  }
  for (uint64_t i = 0; i < size; i++) sum = (sum ^ buffer[i]) * 0x100000001b3ull;
  show(name, sum);
  show("attributes", (uint64_t)attributes << 32 | size);
}

static void show_records(void) {
  const uint8_t *found = 0;
  for (uint64_t i = 0; i < st->NumberOfTableEntries; i++) {
    const uint8_t *entry = (const uint8_t *)st->ConfigurationTable + 24 * i;
    uint64_t same = 1;
    for (int j = 0; j < 16; j++) same &= entry[j] == security[j];
    if (same) found = *(const uint8_t **)(entry + 16);
  }
  show("table", found != 0);
  if (!found) return;
  uint64_t count = *(const uint64_t *)found;
  show("records", count);
  const uint8_t *last = found += 8;
  for (; count; count--, found += *(const uint32_t *)(last + 4)) last = found;
  for (; last < found; last += 8) {
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--) word = word << 8 | (last + i < found ? last[i] : 0);
    show("record", word);
  }
}

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  static const uint16_t setup_mode[] = {'S', 'e', 't', 'u', 'p', 'M', 'o', 'd', 'e', 0};
  static const uint16_t secure_boot[] = {'S', 'e', 'c', 'u', 'r', 'e', 'B', 'o', 'o', 't', 0};
  static uint16_t file_name[] = {'\\', 's', 't', 'e', 'p', 's', '.', 'b', 'i', 'n', 0};
  take_services(table);
  EFI_LOADED_IMAGE_PROTOCOL *me = 0;
  EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *volume = 0;
  EFI_FILE_PROTOCOL *root = 0, *file = 0;
  uint64_t steps = 0, buffer = 0, size = 1 << 20;
  uint64_t status = bs->HandleProtocol(image, P(loaded_image), P(&me));
  if (!status) status = bs->HandleProtocol(me->DeviceHandle, P(file_system), P(&volume));
  if (!status) status = volume->OpenVolume(volume, P(&root));
  if (!status) status = root->Open(root, P(&file), file_name, 1, 0);
  if (!status) status = bs->AllocatePages(0, 2, size >> 12, P(&steps));
  if (!status) status = bs->AllocatePages(0, 2, 16, P(&buffer));
  if (!status) status = file->Read(file, P(&size), P(steps));
  if (status) return status;
  for (uint64_t at = steps; at < steps + size;) {
    struct step *step = P(at);
    if (step->attributes == 0xffffffff) {
      void *loaded = 0;
      status = bs->LoadImage(0, image, step->name[0] == 'p' ? P(image_path) : 0, step->data, step->size, &loaded);
      show("load", status);
      if (loaded) bs->UnloadImage(loaded);
      show_records();
    } else if (step->attributes || step->size)
      show("set", rs->SetVariable(step->name, step->vendor, step->attributes, step->size, step->data));
    show_variable("get", step->name, step->vendor, P(buffer));
    show_variable("setup-mode", setup_mode, global, P(buffer));
    show_variable("secure-boot", secure_boot, global, P(buffer));
    at += (sizeof *step + step->size + 7) & ~7ull;
  }
  show("end", 0);
  return 0;
}
