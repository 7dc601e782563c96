/* A stand-in for FreeBSD's loader: it looks at what that loader looks at, and says so. The build is described in README.

   It demands LoadedImage.DeviceHandle and FilePath, finds the sibling partition with a file system by its device path, and
   reads \boot\loader.conf through Simple File System. */
#include <efi.h>

static EFI_SYSTEM_TABLE *st;
static EFI_BOOT_SERVICES *bs;

static const uint8_t loaded_image_guid[16] = EFI_LOADED_IMAGE_PROTOCOL_GUID;
static const uint8_t device_path_guid[16] = EFI_DEVICE_PATH_PROTOCOL_GUID;
static const uint8_t file_system_guid[16] = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;

#define SUCCESS 0
#define NOT_FOUND 0x800000000000000eull
#define LOAD_ERROR 0x8000000000000001ull
#define BY_PROTOCOL 2
#define READ 1

static void print(const char *text) {
  uint16_t line[128];
  uint64_t at = 0;
  for (; *text; text++) {
    if (*text == '\n') line[at++] = '\r';
    line[at++] = (uint8_t)*text;
    if (at > 124 || !text[1]) {
      line[at] = 0;
      EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *out = st->ConOut;
      out->OutputString(out, line);
      at = 0;
    }
  }
}

static void print16(const uint16_t *text) {
  EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *out = st->ConOut;
  out->OutputString(out, (void *)text);
}

static void *protocol(void *handle, const uint8_t *guid) {
  void *found = 0;
  return bs->HandleProtocol(handle, (void *)guid, &found) == SUCCESS ? found : 0;
}

/* Bytes of a device path before its last node. */
static uint64_t parent_size(const uint8_t *path) {
  uint64_t at = 0, last = 0;
  while (path[at] != 0x7f) {
    last = at;
    at += path[at + 2] | path[at + 3] << 8;
  }
  return last;
}

static int same(const uint8_t *a, const uint8_t *b, uint64_t size) {
  for (uint64_t i = 0; i < size; i++)
    if (a[i] != b[i]) return 0;
  return 1;
}

static uint64_t show_file(void *handle, const char *name) {
  uint16_t wide[64];
  uint64_t length = 0;
  for (; name[length] && length < 63; length++) wide[length] = (uint8_t)name[length];
  wide[length] = 0;
  EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *volume = protocol(handle, file_system_guid);
  EFI_FILE_PROTOCOL *root = 0, *file = 0;
  if (!volume || volume->OpenVolume(volume, (void *)&root) != SUCCESS) return NOT_FOUND;
  uint64_t status = root->Open(root, (void *)&file, wide, READ, 0);
  if (status == SUCCESS) {
    static char text[1024];
    uint64_t size = sizeof text - 1;
    status = file->Read(file, &size, text);
    if (status == SUCCESS) {
      text[size] = 0;
      print(text);
    }
    file->Close(file);
  }
  root->Close(root);
  return status;
}

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  st = table;
  bs = table->BootServices;
  print("cloudboot stand-in EFI loader, Revision 1.0\n");
  EFI_LOADED_IMAGE_PROTOCOL *me = protocol(image, loaded_image_guid);
  if (!me || !me->DeviceHandle || !me->FilePath) {
    print("   The image has no device or no file path\n");
    return LOAD_ERROR;
  }
  uint8_t *node = me->FilePath;
  print("   Load Path: ");
  if (node[0] == 4 && node[1] == 4) print16((uint16_t *)(node + 4));
  print("\n");
  uint8_t *own = protocol(me->DeviceHandle, device_path_guid);
  if (!own) {
    print("   The device has no device path\n");
    return LOAD_ERROR;
  }
  uint64_t count = 0;
  void **handles = 0;
  bs->LocateHandleBuffer(BY_PROTOCOL, (void *)file_system_guid, 0, &count, (void *)&handles);
  uint64_t status = NOT_FOUND, size = parent_size(own);
  for (uint64_t i = 0; i < count && status != SUCCESS; i++) {
    uint8_t *path = protocol(handles[i], device_path_guid);
    if (handles[i] == me->DeviceHandle || !path) continue;
    if (parent_size(path) != size || !same(own, path, size)) continue;
    print("   Trying the sibling partition:\n");
    status = show_file(handles[i], "\\boot\\loader.conf");
  }
  if (handles) bs->FreePool(handles);
  print(status == SUCCESS ? "OK\n" : "Failed to find bootable partition\n");
  return status;
}
