/* A stand-in for Windows' boot manager: it looks for what that looks for, and gives its status codes. README says how it
   is built.

   It demands LoadedImage.DeviceHandle and FilePath, reads \EFI\Microsoft\Boot\BCD from its own volume, follows the boot
   manager's object to the default loader, finds the loader's partition by its GUID among the device paths of all Block
   IO handles, and reads the loader where firmware shows that partition as a file system. There it also looks for what the
   loader asks for first, the SYSTEM hive. */
#include <efi.h>

static EFI_SYSTEM_TABLE *st;
static EFI_BOOT_SERVICES *bs;

static const uint8_t loaded_image_guid[16] = EFI_LOADED_IMAGE_PROTOCOL_GUID;
static const uint8_t device_path_guid[16] = EFI_DEVICE_PATH_PROTOCOL_GUID;
static const uint8_t file_system_guid[16] = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
static const uint8_t block_io_guid[16] = EFI_BLOCK_IO_PROTOCOL_GUID;

#define SUCCESS 0
#define LOAD_ERROR 0x8000000000000001ull
#define VOLUME_CORRUPTED 0x800000000000000aull
#define BY_PROTOCOL 2
#define READ 1
#define LOADER_DATA 2
#define NONE 0xffffffffu
#define MAX_STORE (64u << 20)

/* NTSTATUS values that the boot manager shows. */
#define UNSUCCESSFUL 0xc0000001u
#define NO_SUCH_DEVICE 0xc000000eu
#define NO_SUCH_FILE 0xc000000fu
#define OBJECT_NAME_NOT_FOUND 0xc0000034u
#define FILE_INVALID 0xc0000098u
#define REGISTRY_CORRUPT 0xc000014cu
#define IMAGE_CHECKSUM_MISMATCH 0xc0000221u
#define NOT_FOUND 0xc0000225u

/* Letter by letter: where a serial line is slow, EDK2 sends the letter at which its time is over, and drops the rest. */
static void letter(uint16_t one) {
  uint16_t text[2] = {one, 0};
  EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *out = st->ConOut;
  out->OutputString(out, text);
}

static void put(const uint16_t *text) {
  for (; *text; text++) letter(*text);
}

static void print(const char *text) {
  for (; *text; text++) {
    if (*text == '\n') letter('\r');
    letter((uint8_t)*text);
  }
}

static void hex(uint64_t value, int digits) {
  uint16_t text[17];
  for (int i = 0; i < digits; i++) {
    uint16_t digit = (value >> 4 * (digits - 1 - i)) & 15;
    text[i] = digit < 10 ? '0' + digit : 'a' + digit - 10;
  }
  text[digits] = 0;
  put(text);
}

static void decimal(uint64_t value) {
  uint16_t text[24];
  int at = 23;
  text[at] = 0;
  do text[--at] = '0' + value % 10; while (value /= 10);
  put(text + at);
}

static uint16_t u16(const uint8_t *at) { return at[0] | at[1] << 8; }
static uint32_t u32(const uint8_t *at) { return u16(at) | (uint32_t)u16(at + 2) << 16; }

static void guid(const uint8_t *at) {
  hex(u32(at), 8), print("-"), hex(u16(at + 4), 4), print("-"), hex(u16(at + 6), 4), print("-");
  hex(at[8], 2), hex(at[9], 2), print("-");
  for (int i = 10; i < 16; i++) hex(at[i], 2);
}

static int same(const uint8_t *a, const uint8_t *b, uint64_t size) {
  for (uint64_t i = 0; i < size; i++)
    if (a[i] != b[i]) return 0;
  return 1;
}

/* The screen that the boot manager shows. */
static uint64_t failed(const uint16_t *file, uint32_t status) {
  print("\nWindows failed to start.\n\n    File: ");
  put(file);
  print("\n\n    Status: 0x");
  hex(status, 8);
  print("\n");
  return LOAD_ERROR;
}

static void *protocol(void *handle, const uint8_t *which) {
  void *found = 0;
  return bs->HandleProtocol(handle, (void *)which, &found) == SUCCESS ? found : 0;
}

static uint64_t opened; /* why the last file could not be opened */

/* The bytes of a file, or 0. */
static uint8_t *read_file(void *handle, const uint16_t *path, uint64_t *size) {
  EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *volume = protocol(handle, file_system_guid);
  EFI_FILE_PROTOCOL *root = 0, *file = 0;
  uint8_t *data = 0;
  opened = 0;
  if (!volume || (opened = volume->OpenVolume(volume, (void *)&root)) != SUCCESS) return 0;
  if ((opened = root->Open(root, (void *)&file, (void *)path, READ, 0)) == SUCCESS) {
    uint64_t end = 0;
    if (file->SetPosition(file, ~0ull) == SUCCESS && file->GetPosition(file, &end) == SUCCESS && end <= MAX_STORE &&
        file->SetPosition(file, 0) == SUCCESS && bs->AllocatePool(LOADER_DATA, end + 1, (void *)&data) == SUCCESS) {
      *size = end;
      if ((opened = file->Read(file, size, data)) != SUCCESS || *size != end) data = 0;
    }
    file->Close(file);
  }
  root->Close(root);
  return data;
}

/* The registry hive: offsets of cells count from the first bin, behind 4096 bytes. */

static uint8_t *hive;
static uint64_t bins;

/* The content of a cell in use, with at least so many bytes; else 0. */
static const uint8_t *cell(uint32_t offset, uint32_t least) {
  if (offset == NONE || (offset & 7) || offset + 4ull > bins) return 0;
  uint32_t size = -u32(hive + 4096 + offset);
  if (size > 0x7fffffff || size < least + 4ull || offset + (uint64_t)size > bins) return 0;
  return hive + 4096 + offset + 4;
}

static uint32_t cell_size(const uint8_t *content) { return -u32(content - 4) - 4; }

static int is(const uint8_t *at, const char *name) { return at && at[0] == (uint8_t)name[0] && at[1] == (uint8_t)name[1]; }

static uint8_t lower(uint8_t letter) { return letter >= 'A' && letter <= 'Z' ? letter + 32 : letter; }

/* Whether a key's or value's name, of one byte or two for each letter, is this one; the case does not count. */
static int named(const uint8_t *at, uint32_t bytes, int narrow, const char *name) {
  uint32_t step = narrow ? 1 : 2, length = 0;
  while (name[length]) length++;
  if (bytes != length * step) return 0;
  for (uint32_t i = 0; i < length; i++)
    if (lower(at[i * step]) != lower((uint8_t)name[i]) || (!narrow && at[i * step + 1])) return 0;
  return 1;
}

static const uint8_t *key_at(uint32_t offset) {
  const uint8_t *key = cell(offset, 76);
  return is(key, "nk") && cell_size(key) >= 76u + u16(key + 72) ? key : 0;
}

static const uint8_t *in_list(uint32_t offset, const char *name, int depth) {
  const uint8_t *list = cell(offset, 4);
  if (!list || depth > 1) return 0;
  uint32_t step = is(list, "lf") || is(list, "lh") ? 8 : 4;
  for (uint32_t i = 0; i < u16(list + 2) && 4 + (i + 1) * step <= cell_size(list); i++) {
    uint32_t below = u32(list + 4 + i * step);
    const uint8_t *found = is(list, "ri") ? in_list(below, name, depth + 1) : key_at(below);
    if (found && (is(list, "ri") || named(found + 76, u16(found + 72), u16(found + 2) & 0x20, name))) return found;
  }
  return 0;
}

static const uint8_t *subkey(const uint8_t *key, const char *name) {
  return key && u32(key + 20) ? in_list(u32(key + 28), name, 0) : 0;
}

/* The data of a value with at least so many bytes; else 0. */
static const uint8_t *value(const uint8_t *key, const char *name, uint32_t least, uint32_t *size) {
  uint32_t count = key ? u32(key + 36) : 0;
  const uint8_t *list = count ? cell(u32(key + 40), 4) : 0;
  for (uint32_t i = 0; list && i < count && 4 * (i + 1) <= cell_size(list); i++) {
    const uint8_t *each = cell(u32(list + 4 * i), 20);
    if (!is(each, "vk") || cell_size(each) < 20u + u16(each + 2)) continue;
    if (!named(each + 20, u16(each + 2), u16(each + 16) & 1, name)) continue;
    uint32_t stored = u32(each + 4);
    *size = stored & 0x7fffffff;
    const uint8_t *data = stored & 0x80000000 ? each + 8 : cell(u32(each + 8), *size);
    return *size < least || ((stored & 0x80000000) && *size > 4) ? 0 : data;
  }
  return 0;
}

static const uint8_t *element(const uint8_t *object, const char *number, uint32_t least, uint32_t *size) {
  return value(subkey(subkey(object, "Elements"), number), "Element", least, size);
}

/* The object that 38 letters of UTF-16 name, as {xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}. */
static const uint8_t *object_named(const uint8_t *objects, const uint8_t *text) {
  char name[39];
  for (int i = 0; i < 38; i++) name[i] = text[2 * i + 1] ? '?' : (char)text[2 * i];
  name[38] = 0;
  return subkey(objects, name);
}

/* The root of the hive, or 0 where the boot manager finds no hive. */
static const uint8_t *open_hive(uint64_t size) {
  uint32_t sum = 0;
  if (!hive || size < 8192 || !is(hive, "re") || !is(hive + 2, "gf")) return 0;
  for (int i = 0; i < 0x1fc; i += 4) sum ^= u32(hive + i);
  if (sum == 0) sum = 1;
  if (sum == NONE) sum = NONE - 1;
  bins = u32(hive + 40);
  if (sum != u32(hive + 0x1fc) || bins > size - 4096 || !is(hive + 4096, "hb")) return 0;
  return key_at(u32(hive + 36));
}

/* The GUID that a hard drive node of a GPT disk holds, in the last node of a device path; else 0. */
static const uint8_t *partition_guid(const uint8_t *path) {
  const uint8_t *last = 0;
  for (; path && path[0] != 0x7f; path += u16(path + 2)) last = path;
  return last && last[0] == 4 && last[1] == 1 && u16(last + 2) == 42 && last[41] == 2 ? last + 24 : 0;
}

static void *find_partition(const uint8_t *wanted) {
  uint64_t count = 0;
  void **handles = 0, *found = 0;
  bs->LocateHandleBuffer(BY_PROTOCOL, (void *)block_io_guid, 0, &count, (void *)&handles);
  for (uint64_t i = 0; i < count && !found; i++) {
    const uint8_t *own = partition_guid(protocol(handles[i], device_path_guid));
    if (own && same(own, wanted, 16)) found = handles[i];
  }
  if (handles) bs->FreePool(handles);
  return found;
}

/* Whether a PE image's checksum, if it states one, is that of its bytes: the sum of its words with carries, and its size. */
static int intact(const uint8_t *data, uint64_t size) {
  if (size < 256 || !is(data, "MZ")) return 0;
  uint64_t pe = u32(data + 60), sum = 0;
  if (pe + 92 > size || !is(data + pe, "PE")) return 0;
  uint64_t field = pe + 88;
  for (uint64_t i = 0; i < size; i += 2) {
    if (i == field || i == field + 2) continue;
    sum += i + 1 < size ? u16(data + i) : data[i];
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return !u32(data + field) || u32(data + field) == sum + size;
}

/* The status of a file that could not be read: a record whose fixup is wrong is a damaged volume to firmware. */
static uint32_t unread(void) { return opened == VOLUME_CORRUPTED ? UNSUCCESSFUL : NO_SUCH_FILE; }

static uint64_t load(void *partition, const uint16_t *path) {
  uint64_t size = 0;
  uint8_t *data = read_file(partition, path, &size);
  if (!data) return failed(path, unread());
  if (!intact(data, size)) return failed(path, IMAGE_CHECKSUM_MISMATCH);
  uint32_t crc = 0;
  bs->CalculateCrc32(data, size, &crc);
  print("   Loader: "), put(path), print(", "), decimal(size), print(" bytes, CRC-32 "), hex(crc, 8), print("\n");
  return SUCCESS;
}

/* The path of an element, ended by a zero, in a buffer of so many letters. */
static const uint16_t *text_of(const uint8_t *data, uint32_t size, uint16_t *buffer, uint32_t letters) {
  uint32_t at = 0;
  for (; at + 1 < letters && 2 * at + 1 < size && u16(data + 2 * at); at++) buffer[at] = u16(data + 2 * at);
  buffer[at] = 0;
  return buffer;
}

/* The handle of a device element's partition; 0 and the status where there is none. */
static void *located(void *own, const uint8_t *loader, const char *number, uint32_t *status) {
  uint32_t size = 0;
  const uint8_t *device = element(loader, number, 72, &size);
  *status = NO_SUCH_DEVICE;
  if (!device) return 0;
  if (u32(device + 16) == 5) return own;
  if (size < 88 || u32(device + 16) != 6 || u32(device + 0x30) || u32(device + 0x34)) return 0;
  *status = NOT_FOUND;
  return find_partition(device + 32);
}

/* What Windows' loader reads first: the SYSTEM hive in the folder of Windows, on its device. */
static uint64_t find_hive(void *own, const uint8_t *loader) {
  static const uint16_t below[] = u"\\system32\\config\\system", windows[] = u"\\Windows";
  static uint16_t path[300];
  uint32_t size = 0, status = 0;
  uint64_t bytes = 0;
  const uint8_t *root = element(loader, "22000002", 2, &size);
  if (root) text_of(root, size, path, 260);
  else text_of((const uint8_t *)windows, sizeof windows, path, 260);
  uint32_t at = 0;
  while (path[at]) at++;
  for (uint32_t i = 0; i < sizeof below / 2; i++) path[at + i] = below[i];
  void *partition = located(own, loader, "21000001", &status);
  if (!partition) return failed(path, status);
  hive = read_file(partition, path, &bytes);
  if (!hive) return failed(path, unread());
  if (!open_hive(bytes)) return failed(path, REGISTRY_CORRUPT);
  print("   Registry: "), put(path), print(", "), decimal(bytes), print(" bytes\n");
  return SUCCESS;
}

static uint64_t boot(void *own) {
  static const uint16_t store[] = u"\\EFI\\Microsoft\\Boot\\BCD", winload[] = u"\\Windows\\system32\\winload.efi";
  static uint16_t buffer[260];
  uint64_t bytes = 0;
  uint32_t size = 0;
  hive = read_file(own, store, &bytes);
  const uint8_t *root = open_hive(bytes), *objects = subkey(root, "Objects");
  if (!root) return failed(store, NO_SUCH_FILE);
  if (!is(cell(u32(root + 44), 20), "sk")) return failed(store, REGISTRY_CORRUPT);
  const uint8_t *manager = subkey(objects, "{9dea862c-5cdd-4e70-acc1-f32b344d4795}");
  if (!manager) return failed(store, OBJECT_NAME_NOT_FOUND);
  const uint8_t *name = element(manager, "23000003", 76, &size);
  if (!name) name = element(manager, "24000001", 76, &size);
  const uint8_t *loader = name ? object_named(objects, name) : 0;
  if (!loader) return failed(store, FILE_INVALID);
  const uint8_t *shown = element(loader, "12000004", 2, &size);
  if (!shown) return failed(store, UNSUCCESSFUL);
  print("   Default: "), put(text_of(shown, size, buffer, 260)), print("\n");
  const uint8_t *path = element(loader, "12000002", 2, &size);
  const uint16_t *file = path ? text_of(path, size, buffer, 260) : winload;
  uint32_t status = 0;
  void *partition = located(own, loader, "11000001", &status);
  if (!partition) return failed(file, status);
  if (partition != own) print("   Partition: "), guid(element(loader, "11000001", 88, &size) + 32), print("\n");
  if (!protocol(partition, file_system_guid)) {
    print("   The firmware shows no file system there; Windows' own boot manager reads NTFS itself\n");
    return SUCCESS;
  }
  uint64_t result = load(partition, file);
  if (result == SUCCESS) result = find_hive(own, loader);
  if (result == SUCCESS) print("OK\n");
  return result;
}

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  st = table;
  bs = table->BootServices;
  print("cloudboot stand-in for Windows Boot Manager, Revision 1.0\n");
  EFI_LOADED_IMAGE_PROTOCOL *me = protocol(image, loaded_image_guid);
  uint8_t *node = me ? me->FilePath : 0;
  if (!me || !me->DeviceHandle || !node || node[0] != 4 || node[1] != 4) {
    print("   The image has no device or no file path\n");
    return LOAD_ERROR;
  }
  print("   Load Path: "), put((uint16_t *)(node + 4)), print("\n");
  return boot(me->DeviceHandle);
}
