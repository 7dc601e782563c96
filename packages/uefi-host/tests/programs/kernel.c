/* Prints what a kernel is given: its command line, and the size of its initial RAM disk and the sum of the first COUNT
   bytes. It asks for that as Linux does: Load File 2 on the device path of the initrd's vendor media node. */
#include <efi.h>

static EFI_SYSTEM_TABLE *st;

#define P(x) ((void *)(x))
#define COUNT (256 * 77)
static const uint8_t loaded_image[16] = EFI_LOADED_IMAGE_PROTOCOL_GUID;
static const uint8_t load_file2[16] = EFI_LOAD_FILE2_PROTOCOL_GUID;
/* LINUX_EFI_INITRD_MEDIA_GUID in a vendor media node, and the end node. */
static const uint8_t initrd[24] = {4,    3,    20,   0,    0x27, 0xe4, 0x68, 0x55, 0xfc, 0x68, 0x3d, 0x4f,
                                   0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68, 0x7f, 0xff, 4,    0};

static void print(const uint16_t *text) {
  EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *out = st->ConOut;
  out->OutputString(out, P(text));
}

static void show(uint64_t value) {
  uint16_t line[20];
  for (int at = 0; at < 16; at++) {
    uint64_t digit = value >> (60 - 4 * at) & 15;
    line[at] = digit < 10 ? '0' + digit : 'a' + digit - 10;
  }
  line[16] = '\r';
  line[17] = '\n';
  line[18] = 0;
  print(line);
}

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  st = table;
  EFI_BOOT_SERVICES *bs = table->BootServices;
  EFI_LOADED_IMAGE_PROTOCOL *me = 0;
  EFI_LOAD_FILE2_PROTOCOL *file = 0;
  void *path = P(initrd), *handle = 0;
  uint8_t *buffer = 0;
  uint64_t size = 0, sum = 0;
  static const uint16_t end[] = {'\r', '\n', 'e', 'n', 'd', '\r', '\n', 0}, line[] = {'\r', '\n', 0};
  uint64_t status = bs->HandleProtocol(image, P(loaded_image), P(&me));
  if (status) return status;
  print(me->LoadOptions);
  print(line);
  status = bs->LocateDevicePath(P(load_file2), P(&path), P(&handle));
  if (!status) status = bs->HandleProtocol(handle, P(load_file2), P(&file));
  if (status) return status;
  show(file->LoadFile(file, path, 0, P(&size), 0));
  status = bs->AllocatePages(0, 2, (size + 4095) >> 12, P(&buffer));
  if (!status) status = file->LoadFile(file, path, 0, P(&size), buffer);
  if (status) return status;
  for (uint64_t i = 0; i < size && i < COUNT; i++) sum += buffer[i];
  show(size);
  show(sum);
  print(end);
  return 0;
}
