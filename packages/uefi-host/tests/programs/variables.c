/* Sets the variables that \steps.bin on its own volume lists, one after the other, and prints what SetVariable answers
   and what is there then: lines "C:name value". A step is a name of 32 characters, a vendor, attributes, a size, and
   data padded to a multiple of eight bytes; one without attributes and size is only read, and one with all attributes is
   an image to load. */
#include "answers.h"

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
      status = bs->LoadImage(0, image, 0, step->data, step->size, &loaded);
      show("load", status);
      if (loaded) bs->UnloadImage(loaded);
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
