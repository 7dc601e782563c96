/* What the programs that print answers have in common: the services, and one line "C:name value" for each answer.
   A program that prints elsewhere than on the console defines PUT_LINE, a function that takes the line's characters. */
#include <efi.h>

#define P(x) ((void *)(x))

static __attribute__((unused)) EFI_SYSTEM_TABLE *st;
static __attribute__((unused)) EFI_BOOT_SERVICES *bs;
static __attribute__((unused)) EFI_RUNTIME_SERVICES *rs;
static __attribute__((unused)) const uint8_t loaded_image[16] = EFI_LOADED_IMAGE_PROTOCOL_GUID;
static __attribute__((unused)) const uint8_t device_path[16] = EFI_DEVICE_PATH_PROTOCOL_GUID;
static __attribute__((unused)) const uint8_t block_io[16] = EFI_BLOCK_IO_PROTOCOL_GUID;
static __attribute__((unused)) const uint8_t file_system[16] = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
static __attribute__((unused)) const uint8_t global[16] = EFI_GLOBAL_VARIABLE_GUID;

static __attribute__((unused)) void take_services(EFI_SYSTEM_TABLE *table) {
  st = table;
  bs = table->BootServices;
  rs = table->RuntimeServices;
}

#ifdef PUT_LINE
static void PUT_LINE(const uint16_t *line);
#else
#define PUT_LINE put_line
static void put_line(const uint16_t *line) {
  EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *out = st->ConOut;
  out->OutputString(out, P(line));
}
#endif

static void show(const char *name, uint64_t value) {
  uint16_t line[96];
  uint64_t at = 0;
  line[at++] = 'C';
  line[at++] = ':';
  for (; *name; name++) line[at++] = (uint8_t)*name;
  line[at++] = ' ';
  for (int shift = 60; shift >= 0; shift -= 4) {
    uint64_t digit = value >> shift & 15;
    line[at++] = digit < 10 ? '0' + digit : 'a' + digit - 10;
  }
  line[at++] = '\r';
  line[at++] = '\n';
  line[at] = 0;
  PUT_LINE(line);
}
