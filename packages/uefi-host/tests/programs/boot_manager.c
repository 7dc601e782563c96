/* Asks what a boot manager and a loader of an operating system ask beyond the questions of conformance.c: tables and their
   checksums, memory at stated addresses, the console's cursor, block and disk IO of every size, variables of other vendors,
   the runtime services that are seldom called, the ACPI tables to their ends, and on amd64 the processor's registers.
   One line "C:name value" each; the answers must not depend on who the firmware is. */
#include "answers.h"

static EFI_LOADED_IMAGE_PROTOCOL *me;
static void *self;

#define COUNT(x) (sizeof(x) / sizeof *(x))
static const uint8_t disk_io[16] = EFI_DISK_IO_PROTOCOL_GUID;
static const uint8_t microsoft[16] = {0xbd, 0x9a, 0xfa, 0x77, 0x59, 3, 0x32, 0x4d, 0xbd, 0x60, 0x28, 0xf4, 0xe7, 0x8f, 0x78, 0x4b};

static uint64_t same(const void *a, const void *b, uint64_t size) {
  for (uint64_t i = 0; i < size; i++)
    if (((const uint8_t *)a)[i] != ((const uint8_t *)b)[i]) return 0;
  return 1;
}

/* Whether a table's checksum is that of its bytes, and how many of its pointers, from an offset on, are null. */
static void table(const char *sum, const char *nulls, const void *at, uint64_t first) {
  static uint8_t copy[1024];
  uint32_t size = *(uint32_t *)((uint8_t *)at + 12), crc = 0, count = 0;
  bs->CopyMem(copy, P(at), size);
  for (int i = 16; i < 20; i++) copy[i] = 0;
  bs->CalculateCrc32(copy, size, P(&crc));
  show(sum, crc == *(uint32_t *)((uint8_t *)at + 16));
  for (uint64_t i = first; i + 8 <= size; i += 8) count += !*(uint64_t *)((uint8_t *)at + i);
  show(nulls, count);
}

static void tables(void) {
  show("table-signature", *(uint64_t *)st);
  table("table-crc", "table-null", st, 24);
  table("boot-crc", "boot-null", bs, 24);
  table("runtime-crc", "runtime-null", rs, 24);
  show("boot-signature", *(uint64_t *)bs);
  show("runtime-signature", *(uint64_t *)rs);
  show("boot-size", *(uint32_t *)((uint8_t *)bs + 12));
  show("runtime-size", *(uint32_t *)((uint8_t *)rs + 12));
}

/* The descriptor of an address: its type, and whether its attributes are those of RAM. */
static uint8_t map[65536];
static uint64_t type_at(uint64_t address) {
  uint64_t size = sizeof map, key, stride;
  uint32_t version;
  if (bs->GetMemoryMap(P(&size), map, P(&key), P(&stride), P(&version))) return 98;
  for (uint64_t at = 0; at < size; at += stride) {
    uint64_t start = *(uint64_t *)(map + at + 8), pages = *(uint64_t *)(map + at + 24);
    if (start <= address && address < start + pages * 4096) return *(uint32_t *)(map + at);
  }
  return 99;
}

static void memory(void) {
  static const uint32_t types[] = {1, 2, 3, 4, 5, 6, 8, 9, 10, 0x80000001};
  uint64_t at, size = 0, again = 0, first, key = 0, second, stride = 0;
  uint32_t version;
  for (uint64_t i = 0; i < COUNT(types); i++) {
    at = 0;
    show("type", bs->AllocatePages(0, types[i], 3, P(&at)));
    show("type-listed", type_at(at + 4096));
    show("type-free", bs->FreePages(at, 3));
    if (types[i] == 2) show("type-gone", type_at(at + 4096));
  }
  bs->GetMemoryMap(P(&size), 0, P(&key), P(&stride), P(&version));
  again = size + 8 * stride;
  show("map", bs->GetMemoryMap(P(&again), map, P(&first), P(&stride), P(&version)));
  show("map-whole", again % stride);
  again = sizeof map;
  bs->GetMemoryMap(P(&again), map, P(&second), P(&stride), P(&version));
  show("map-key-kept", first == second);
  bs->AllocatePages(0, 2, 1, P(&at));
  again = sizeof map;
  bs->GetMemoryMap(P(&again), map, P(&second), P(&stride), P(&version));
  show("map-key-new", first != second);
  bs->FreePages(at, 1);
#ifdef __x86_64__
  /* An address that is free, taken by its number, and the page below a limit. */
  uint64_t place = 0x6000000;
  show("pc-address", bs->AllocatePages(2, 2, 16, P(&place)));
  show("pc-address-listed", type_at(place));
  show("pc-address-below", type_at(place - 4096));
  show("pc-address-free", bs->FreePages(place, 16));
  at = 0x1ffffff;
  show("pc-max", bs->AllocatePages(1, 2, 1, P(&at)));
  show("pc-max-below", at < 0x2000000);
  show("pc-max-free", bs->FreePages(at, 1));
#endif
  uint8_t *pool = 0;
  show("pool", bs->AllocatePool(2, 100, P(&pool)));
  show("pool-aligned", (uint64_t)pool & 7);
  show("pool-free", bs->FreePool(pool));
  show("watchdog", bs->SetWatchdogTimer(300, 0x10000, 0, 0));
  show("watchdog-code", bs->SetWatchdogTimer(300, 1, 0, 0));
  show("watchdog-off", bs->SetWatchdogTimer(0, 0, 0, 0));
  show("stall-0", bs->Stall(0));
  show("stall", bs->Stall(1));
  uint64_t one = 0, two = 0;
  show("count", bs->GetNextMonotonicCount(P(&one)));
  bs->GetNextMonotonicCount(P(&two));
  show("count-next", two - one);
  show("count-null", bs->GetNextMonotonicCount(0));
}

static void cursor(const char *name) {
  EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *out = st->ConOut;
  int32_t *mode = (int32_t *)out->Mode;
  uint64_t value = (uint64_t)(uint32_t)mode[3] << 32 | (uint32_t)mode[4];
  out->SetCursorPosition(out, 0, 0);
  show(name, value);
}

static void console(void) {
  EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *out = st->ConOut;
  EFI_SIMPLE_TEXT_INPUT_PROTOCOL *in = st->ConIn;
  static uint16_t box[] = u"\u250c\u2500\u2510\u2502\u2514\u2518\u2550\u2551\u2588\u2591\u25b2\u25ba", long_text[90];
  int32_t *mode = (int32_t *)out->Mode;
  show("mode-valid", mode[0] > 0 && mode[1] < mode[0]);
  show("set-mode", out->SetMode(out, 0));
  show("set-mode-shown", mode[1]);
  show("clear", out->ClearScreen(out));
  cursor("cursor-clear");
  out->OutputString(out, u"ab");
  cursor("cursor-text");
  out->OutputString(out, u"ab\r\nc");
  cursor("cursor-line");
  out->OutputString(out, u"abc\r");
  cursor("cursor-return");
  out->OutputString(out, u"abc\b");
  cursor("cursor-back");
  out->OutputString(out, u"\b\b");
  cursor("cursor-back-edge");
  out->OutputString(out, u"a\n");
  cursor("cursor-feed");
  for (int i = 0; i < 80; i++) long_text[i] = '-';
  out->OutputString(out, long_text);
  cursor("cursor-80");
  long_text[79] = 0;
  out->OutputString(out, long_text);
  cursor("cursor-79");
  out->SetCursorPosition(out, 79, 24);
  show("cursor-corner", (uint64_t)mode[3] << 32 | (uint32_t)mode[4]);
  out->ClearScreen(out);
  show("box", out->OutputString(out, box));
  show("box-test", out->TestString(out, box));
  show("attribute", out->SetAttribute(out, 0x1f));
  show("attribute-shown", mode[2]);
  show("attribute-back", out->SetAttribute(out, 0x07));
  out->EnableCursor(out, 1);
  show("reset-out", out->Reset(out, 0));
  cursor("cursor-reset");
  show("reset-in", in->Reset(in, 0));
  static const uint8_t input_ex[16] = EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL_GUID;
  EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL *ex = 0;
  bs->HandleProtocol(st->ConsoleInHandle, P(input_ex), P(&ex));
  uint8_t state = 0;
  show("state-0", ex->SetState(ex, &state));
  state = 0x80;
  show("state", ex->SetState(ex, &state));
  state = 0xc0;
  show("state-exposed", ex->SetState(ex, &state));
  state = 0x80;
  ex->SetState(ex, &state);
  show("reset-ex", ex->Reset(ex, 0));
  show("unregister-null", ex->UnregisterKeyNotify(ex, 0));
  show("register-null", ex->RegisterKeyNotify(ex, 0, 0, 0));
  static const uint8_t text_output[16] = EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL_GUID;
  uint64_t count = 0;
  void *found = 0;
  show("outputs", bs->LocateHandleBuffer(2, P(text_output), 0, P(&count), P(&found)));
  show("errors", st->StdErr != 0 && bs->HandleProtocol(st->StandardErrorHandle, P(text_output), P(&found)) == 0);
}

static void *parent; /* the handle of the whole disk */
static void disks(void) {
  static uint8_t buffer[1 << 20] __attribute__((aligned(4096))), other[8192] __attribute__((aligned(4096)));
  EFI_BLOCK_IO_PROTOCOL *part = 0, *disk = 0;
  EFI_DISK_IO_PROTOCOL *io = 0, *whole = 0;
  uint8_t *path = 0, shorter[256], *rest = shorter, *last = 0;
  show("part", bs->OpenProtocol(me->DeviceHandle, P(block_io), P(&part), self, 0, 2));
  show("part-close", bs->CloseProtocol(me->DeviceHandle, P(block_io), self, 0));
  show("part-close-again", bs->CloseProtocol(me->DeviceHandle, P(block_io), self, 0));
  bs->HandleProtocol(me->DeviceHandle, P(device_path), P(&path));
  uint64_t length = 0;
  for (uint8_t *node = path; node[0] != 0x7f; node += node[2] | node[3] << 8) last = node, length += node[2] | node[3] << 8;
  uint64_t start = *(uint64_t *)(last + 8);
  length -= last[2] | last[3] << 8;
  for (uint64_t i = 0; i < length; i++) shorter[i] = path[i];
  shorter[length] = 0x7f, shorter[length + 1] = 0xff, shorter[length + 2] = 4, shorter[length + 3] = 0;
  show("disk", bs->LocateDevicePath(P(block_io), P(&rest), P(&parent)));
  show("disk-rest", *rest);
  show("disk-block", bs->HandleProtocol(parent, P(block_io), P(&disk)));
  uint8_t *media = disk->Media, *own = part->Media;
  show("media-flags", media[4] << 24 | media[5] << 16 | media[6] << 8 | own[6]);
  show("media-read-only", media[7] << 8 | own[7]);
  show("media-size", (uint64_t)*(uint32_t *)(media + 12) << 32 | *(uint32_t *)(own + 12));
  show("media-align", *(uint32_t *)(media + 16) <= 1 && *(uint32_t *)(own + 16) <= 1);
  uint32_t id = *(uint32_t *)media, mine = *(uint32_t *)own;
  uint64_t end = *(uint64_t *)(media + 24);
  show("read-1m", disk->ReadBlocks(disk, id, 0, 1 << 20, buffer));
  show("read-1m-part", part->ReadBlocks(part, mine, 0, 8192, other));
  show("read-same", same(other, buffer + start * 512, 8192));
  show("read-unaligned", part->ReadBlocks(part, mine, 0, 4096, buffer + 1));
  show("read-unaligned-same", same(other, buffer + 1, 4096));
  show("read-tail", disk->ReadBlocks(disk, id, end - 32, 33 * 512, buffer));
  show("read-tail-gpt", *(uint64_t *)(buffer + 32 * 512));
  show("read-beyond", disk->ReadBlocks(disk, id, end - 32, 34 * 512, buffer));
  show("read-far", disk->ReadBlocks(disk, id, ~0ull, 512, buffer));
  show("read-513", disk->ReadBlocks(disk, id, 0, 513, buffer));
  show("read-part-beyond", part->ReadBlocks(part, mine, *(uint64_t *)(own + 24) + 1, 512, buffer));
  show("write", disk->WriteBlocks(disk, id, 0, 512, buffer));
  show("write-part", part->WriteBlocks(part, mine, 0, 512, buffer));
  show("block-reset", disk->Reset(disk, 0));
  show("block-reset-part", part->Reset(part, 0));
  show("disk-io", bs->HandleProtocol(me->DeviceHandle, P(disk_io), P(&io)));
  show("disk-io-whole", bs->HandleProtocol(parent, P(disk_io), P(&whole)));
  show("io", io->ReadDisk(io, mine, 3, 5, buffer));
  show("io-same", same(other + 3, buffer, 5));
  show("io-across", io->ReadDisk(io, mine, 510, 1030, buffer + 3));
  show("io-across-same", same(other + 510, buffer + 3, 1030));
  show("io-whole", whole->ReadDisk(whole, id, start * 512 + 1, 4000, buffer));
  show("io-whole-same", same(other + 1, buffer, 4000));
  show("io-0", io->ReadDisk(io, mine, 0, 0, buffer));
  show("io-beyond", io->ReadDisk(io, mine, (*(uint64_t *)(own + 24) + 1) * 512, 1, buffer));
  show("io-last", io->ReadDisk(io, mine, (*(uint64_t *)(own + 24) + 1) * 512 - 1, 1, buffer));
  show("io-last-2", io->ReadDisk(io, mine, (*(uint64_t *)(own + 24) + 1) * 512 - 1, 2, buffer));
  show("io-write", io->WriteDisk(io, mine, 0, 1, buffer));
  show("connect", bs->ConnectController(parent, 0, 0, 1));
  show("connect-part", bs->ConnectController(me->DeviceHandle, 0, 0, 1));
}

static void handles(void) {
  uint64_t size = 0, count = 0;
  void *found = 0, *null = 0;
  show("all-small", bs->LocateHandle(0, 0, 0, P(&size), 0));
  show("all-some", size >= 8);
  show("all", bs->LocateHandleBuffer(0, 0, 0, P(&count), P(&found)));
  show("all-free", bs->FreePool(found));
  show("buffer-null", bs->LocateHandleBuffer(2, P(block_io), 0, 0, P(&found)));
  show("buffer-no-guid", bs->LocateHandleBuffer(2, 0, 0, P(&count), P(&found)));
  show("locate-null", bs->LocateProtocol(0, 0, P(&found)));
  show("locate-no-out", bs->LocateProtocol(P(block_io), 0, 0));
  show("path-null", bs->LocateDevicePath(P(block_io), P(&null), P(&found)));
  static const uint8_t absent[][16] = {EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID, EFI_TCG2_PROTOCOL_GUID};
  for (uint64_t i = 0; i < COUNT(absent); i++) show("absent", bs->LocateProtocol(P(absent[i]), 0, P(&found)));
}

static void get(const char *name, const uint16_t *variable, const uint8_t *vendor) {
  uint64_t size = 0;
  uint32_t attributes = 0x55;
  show(name, rs->GetVariable(P(variable), P(vendor), P(&attributes), P(&size), 0));
}

static void variables(void) {
  static const uint8_t security[16] = {0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f};
  static const uint8_t overwrite[16] = {0xbe, 0x39, 0x09, 0xe2, 0xd4, 0x32, 0xbe, 0x41, 0xa1, 0x50, 0x89, 0x7f, 0x85, 0xd4, 0x98, 0x29};
  static uint16_t policy[] = u"CurrentPolicy", indications[] = u"OsIndications", mine[] = u"OfflineUniqueIDRandomSeed";
  get("boot-current", u"BootCurrent", global);
  get("boot-order", u"BootOrder", global);
  get("boot-next", u"BootNext", global);
  get("indications", indications, global);
  get("indications-supported", u"OsIndicationsSupported", global);
  get("pk", u"PK", global);
  get("kek", u"KEK", global);
  get("db", u"db", security);
  get("dbx", u"dbx", security);
  get("overwrite", u"MemoryOverwriteRequestControl", overwrite);
  get("policy", policy, microsoft);
  get("audit", u"AuditMode", global);
  get("deployed", u"DeployedMode", global);
  get("vendor-keys", u"VendorKeys", global);
  get("con-out-dev", u"ConOutDev", global);
  get("languages", u"PlatformLangCodes", global);
  get("boot-option-support", u"BootOptionSupport", global);
  uint8_t data[600];
  for (int i = 0; i < 600; i++) data[i] = i;
  static const uint32_t attributes[] = {2, 3, 6, 7};
  for (uint64_t i = 0; i < COUNT(attributes); i++) {
    uint64_t size = sizeof data;
    uint32_t stored = 0;
    show("foreign-set", rs->SetVariable(policy, P(microsoft), attributes[i], 600 - i, data));
    show("foreign-get", rs->GetVariable(policy, P(microsoft), P(&stored), P(&size), data));
    show("foreign-size", size);
    show("foreign-attributes", stored);
    show("foreign-same", rs->SetVariable(policy, P(microsoft), attributes[i], 600 - i, data));
    show("foreign-shorter", rs->SetVariable(policy, P(microsoft), attributes[i], 1, data));
    show("foreign-delete", rs->SetVariable(policy, P(microsoft), attributes[i], 0, 0));
  }
  get("foreign-gone", policy, microsoft);
  show("set-nothing", rs->SetVariable(mine, P(microsoft), 0, 4, data));
  show("set-volatile-nv", rs->SetVariable(mine, P(microsoft), 1, 4, data));
  show("set-no-data", rs->SetVariable(mine, P(microsoft), 7, 4, 0));
  show("set-unknown-attribute", rs->SetVariable(mine, P(microsoft), 0x107, 4, data));
  show("set-both-kinds", rs->SetVariable(mine, P(microsoft), 0x37, 4, data));
  show("indications-set", rs->SetVariable(indications, P(global), 7, 8, P("\0\0\0\0\0\0\0")));
  get("indications-get", indications, global);
  show("indications-delete", rs->SetVariable(indications, P(global), 7, 0, 0));
  /* Every variable is found by its name once. */
  static uint16_t name[512];
  uint8_t vendor[16];
  uint64_t seen = 0, errors = 0, found = 0, status;
  rs->SetVariable(policy, P(microsoft), 7, 4, data);
  name[0] = 0;
  for (;;) {
    uint64_t size = sizeof name, length = 0;
    status = rs->GetNextVariableName(P(&size), name, vendor);
    if (status || seen++ > 300) break;
    errors += rs->GetVariable(name, vendor, 0, P(&length), 0) != 0x8000000000000005ull;
    found += same(vendor, microsoft, 16) && same(name, policy, sizeof policy);
  }
  show("next-end", status);
  show("next-errors", errors);
  show("next-found", found);
  rs->SetVariable(policy, P(microsoft), 7, 0, 0);
  static const uint32_t kinds[] = {2, 3, 6, 7, 1, 5, 0x40};
  uint64_t a, b, c;
  for (uint64_t i = 0; i < COUNT(kinds); i++) show("query", rs->QueryVariableInfo(kinds[i], P(&a), P(&b), P(&c)));
}

static void runtime(void) {
  uint8_t time[16], enabled = 9, pending = 9;
  uint32_t high = 0, higher = 0;
  uint64_t maximum = 0;
  uint32_t type = 9;
  void *pointer = 0;
  rs->GetTime(time, 0);
  show("set-time", rs->SetTime(time));
  uint64_t set = time[4] * 3600 + time[5] * 60 + time[6];
  rs->GetTime(time, 0);
  show("set-time-kept", (time[4] * 3600 + time[5] * 60 + time[6] + 86400 - set) % 86400 < 5);
  show("set-time-null", rs->SetTime(0));
  time[2] = 13;
  show("set-time-month", rs->SetTime(time));
  time[2] = 2, time[3] = 30;
  show("set-time-day", rs->SetTime(time));
  show("wakeup", rs->GetWakeupTime(&enabled, &pending, time));
  show("wakeup-null", rs->GetWakeupTime(0, 0, 0));
  show("wakeup-on-null", rs->SetWakeupTime(1, 0));
  time[2] = 13;
  show("wakeup-on-never", rs->SetWakeupTime(1, time));
  rs->GetTime(time, 0);
  time[4] = 23, time[5] = time[6] = 59;
  show("wakeup-on", rs->SetWakeupTime(1, time));
  time[4] = 0;
  show("wakeup-get", rs->GetWakeupTime(&enabled, &pending, time));
  show("wakeup-state", enabled << 16 | pending << 8 | time[4]);
  show("wakeup-off", rs->SetWakeupTime(0, 0));
  rs->GetWakeupTime(&enabled, &pending, time);
  show("wakeup-disabled", enabled << 8 | pending);
  show("high", rs->GetNextHighMonotonicCount(P(&high)));
  rs->GetNextHighMonotonicCount(P(&higher));
  show("high-next", higher - high);
  show("high-null", rs->GetNextHighMonotonicCount(0));
  show("capsule", rs->UpdateCapsule(0, 0, 0));
  show("capsule-query", rs->QueryCapsuleCapabilities(0, 0, P(&maximum), P(&type)));
  show("convert-null", rs->ConvertPointer(0, 0));
  show("convert-zero", rs->ConvertPointer(0, P(&pointer)));
  show("convert-optional", rs->ConvertPointer(1, P(&pointer)));
  pointer = rs;
  show("convert-early", rs->ConvertPointer(0, P(&pointer)));
}

static uint8_t sum(const void *at, uint64_t size) {
  uint8_t total = 0;
  for (uint64_t i = 0; i < size; i++) total += ((const uint8_t *)at)[i];
  return total;
}

static void *configuration(const uint8_t *guid) {
  for (uint64_t i = 0; i < st->NumberOfTableEntries; i++) {
    uint8_t *entry = (uint8_t *)st->ConfigurationTable + 24 * i;
    if (same(entry, guid, 16)) return *(void **)(entry + 16);
  }
  return 0;
}

static void acpi(void) {
  static const uint8_t two[16] = EFI_ACPI_20_TABLE_GUID;
  static const uint8_t smbios[16] = {0x31, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11, 0x9a, 0x16, 0, 0x90, 0x27, 0x3f, 0xc1, 0x4d};
  static const uint8_t smbios3[16] = {0x44, 0x15, 0xfd, 0xf2, 0x94, 0x97, 0x2c, 0x4a, 0x99, 0x2e, 0xe5, 0xbb, 0xcf, 0x20, 0xe3, 0x94};
  uint8_t *root = configuration(two), *fixed = 0, *interrupts = 0;
  show("smbios", configuration(smbios) || configuration(smbios3));
  show("acpi-revision", root[15]);
  show("acpi-root-sum", sum(root, 20) | sum(root, *(uint32_t *)(root + 20)));
  show("acpi-root-memory", type_at((uint64_t)root) == 9 || type_at((uint64_t)root) == 10);
  uint8_t *xsdt = *(uint8_t **)(root + 24);
  show("acpi-xsdt", *(uint32_t *)xsdt);
  show("acpi-xsdt-sum", sum(xsdt, *(uint32_t *)(xsdt + 4)));
  uint64_t wrong = 0;
  for (uint64_t i = 36; i + 8 <= *(uint32_t *)(xsdt + 4); i += 8) {
    uint8_t *each = *(uint8_t **)(xsdt + i);
    uint64_t kind = type_at((uint64_t)each);
    wrong += sum(each, *(uint32_t *)(each + 4)) != 0 || (kind != 9 && kind != 10);
    if (*(uint32_t *)each == 0x50434146) fixed = each;
    if (*(uint32_t *)each == 0x43495041) interrupts = each;
  }
  show("acpi-wrong", wrong);
  uint64_t described = *(uint64_t *)(fixed + 140);
  if (!described) described = *(uint32_t *)(fixed + 40);
  show("acpi-described", *(uint32_t *)described);
  show("acpi-described-sum", sum(P(described), *(uint32_t *)(described + 4)));
  show("acpi-interrupts", interrupts && *(uint32_t *)(interrupts + 4) > 44);
#ifdef __x86_64__
  uint64_t processors = 0;
  for (uint8_t *at = interrupts + 44; at < interrupts + *(uint32_t *)(interrupts + 4); at += at[1]) processors += at[0] == 0 && at[4] & 1;
  uint64_t control = *(uint32_t *)(fixed + 36) ? *(uint32_t *)(fixed + 36) : *(uint64_t *)(fixed + 132);
  show("pc-acpi-control", *(uint32_t *)control);
  show("pc-acpi-control-size", *(uint32_t *)(control + 4));
  show("pc-acpi-sci", *(uint16_t *)(fixed + 46));
  show("pc-acpi-event", *(uint32_t *)(fixed + 56) & 0xffff);
  show("pc-acpi-pm1", *(uint32_t *)(fixed + 64) & 0xffff);
  show("pc-acpi-timer", *(uint32_t *)(fixed + 76) & 0xffff);
  show("pc-acpi-boot-flags", *(uint16_t *)(fixed + 109) & 2);
  show("pc-madt-local", *(uint32_t *)(interrupts + 36));
  show("pc-madt-flags", *(uint32_t *)(interrupts + 40) & 1);
  show("pc-madt-processors", processors);
  uint64_t io = 0, overrides = 0;
  for (uint8_t *at = interrupts + 44; at < interrupts + *(uint32_t *)(interrupts + 4); at += at[1]) {
    if (at[0] == 1) io = *(uint32_t *)(at + 4);
    overrides += at[0] == 2;
  }
  show("pc-madt-io", io);
  show("pc-madt-overrides", overrides > 0);
#endif
}

#ifdef __x86_64__
static uint64_t msr(uint32_t index) {
  uint32_t low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
  return (uint64_t)high << 32 | low;
}
static void set_msr(uint32_t index, uint64_t value) {
  __asm__ volatile("wrmsr" ::"a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(index));
}
static uint64_t kept(uint32_t index, uint64_t value) {
  uint64_t before = msr(index);
  set_msr(index, value);
  uint64_t after = msr(index);
  set_msr(index, before);
  return after;
}
static void cpuid(uint32_t leaf, uint32_t sub, uint32_t *out) {
  __asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "a"(leaf), "c"(sub));
}
static uint64_t ticks(void) {
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (uint64_t)high << 32 | low;
}

/* The I/O APIC: an index, and the register that it selects. */
static uint32_t io_apic(uint32_t index) {
  volatile uint32_t *io = (volatile uint32_t *)0xfec00000;
  io[0] = index;
  return io[4];
}
static void io_apics(void) {
  volatile uint32_t *io = (volatile uint32_t *)0xfec00000;
  show("pc-io-apic-id", io_apic(0));
  show("pc-io-apic-version", io_apic(1));
  show("pc-io-apic-arbitration", io_apic(2));
  show("pc-io-apic-selected", io[0]);
  uint64_t masked = 0;
  for (uint32_t i = 0; i < 24; i++) masked += io_apic(0x10 + 2 * i) >> 16 & 1;
  show("pc-io-apic-masked", masked);
  uint32_t low = io_apic(0x3c), high = io_apic(0x3d);
  io_apic(0x3c), io[4] = 0x1d0ef;
  io_apic(0x3d), io[4] = 0x01000000;
  show("pc-io-apic-low", io_apic(0x3c));
  show("pc-io-apic-high", io_apic(0x3d));
  io_apic(0x3d), io[4] = high;
  io_apic(0x3c), io[4] = low;
  show("pc-io-apic-none", io_apic(0x40));
}

static void pc(void) {
  io_apics();
  uint64_t value, cr0, cr4;
  uint16_t selector;
  uint32_t id[4];
  __asm__ volatile("mov %%cs, %0" : "=r"(selector));
  show("pc-cs", selector);
  __asm__ volatile("mov %%ds, %0" : "=r"(selector));
  show("pc-ds", selector);
  __asm__ volatile("mov %%ss, %0" : "=r"(selector));
  show("pc-ss", selector);
  __asm__ volatile("mov %%fs, %0" : "=r"(selector));
  show("pc-fs", selector);
  __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
  show("pc-cr0", cr0 & 0xe005003f);
  __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
  show("pc-cr4", cr4 & 0x6f8);
  __asm__ volatile("mov %%cr8, %0" : "=r"(value));
  show("pc-cr8", value);
  __asm__ volatile("pushfq; pop %0" : "=r"(value));
  show("pc-flags", value & 0x600);
  volatile uint64_t low = 0x500;
  show("pc-page-0", *(volatile uint8_t *)low | 0xff);
  __asm__ volatile("mov %0, %%cr0" ::"r"(cr0 & ~0x10000ull));
  __asm__ volatile("mov %%cr0, %0" : "=r"(value));
  show("pc-write-protect-off", value >> 16 & 1);
  __asm__ volatile("mov %0, %%cr0" ::"r"(cr0 | 0x10000));
  __asm__ volatile("mov %%cr0, %0" : "=r"(value));
  show("pc-write-protect-on", value >> 16 & 1);
  __asm__ volatile("mov %0, %%cr0" ::"r"(cr0));
  __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 ^ 0x80));
  __asm__ volatile("mov %%cr4, %0" : "=r"(value));
  show("pc-global-pages", (value ^ cr4) & 0x80);
  __asm__ volatile("mov %0, %%cr4" ::"r"(cr4));
  __asm__ volatile("wbinvd; invlpg (%0)" ::"r"(&value) : "memory");
  static uint8_t state[512] __attribute__((aligned(16)));
  __asm__ volatile("fxsave %0" : "=m"(state));
  show("pc-fx-control", *(uint16_t *)state);
  show("pc-fx-mxcsr", *(uint32_t *)(state + 24));
  __asm__ volatile("fxrstor %0" ::"m"(state));
  show("pc-star", kept(0xc0000081, 0x0023001000000000));
  show("pc-lstar", kept(0xc0000082, 0xfffff80012345678));
  show("pc-mask", kept(0xc0000084, 0x4700));
  show("pc-gs", kept(0xc0000101, 0xfffff80000001000));
  show("pc-kernel-gs", kept(0xc0000102, 0xfffff80000002000));
  show("pc-sysenter", kept(0x175, 0x12345));
  show("pc-pat-kept", kept(0x277, 0x0007010600070106));
  show("pc-mtrr-default", msr(0x2ff) & 0xcff);
  show("pc-mtrr-low", msr(0x250));
  show("pc-mtrr-video", msr(0x259));
  show("pc-mtrr-rom", msr(0x26f));
  uint64_t stamp = msr(0x10);
  bs->Stall(1000);
  show("pc-stamp", msr(0x10) - stamp > 100000);
  stamp = ticks();
  show("pc-stamp-ticks", msr(0x10) - stamp < 1ull << 30);
  show("pc-apic-base", msr(0x1b));
  show("pc-mtrr-fixed", msr(0xfe) >> 8 & 1);
  show("pc-misc", msr(0x1a0) >> 22 & 1); /* not limited to few CPUID leaves */
  cpuid(0, 0, id);
  show("pc-cpuid-leaves", id[0] >= 7);
  cpuid(1, 0, id);
  show("pc-cpuid-1-edx", id[3] & 0x07808171);
  show("pc-cpuid-1-ecx", id[2] & 0x2001);
  cpuid(0x80000000, 0, id);
  show("pc-cpuid-extended", id[0] >= 0x80000008);
  cpuid(0x80000001, 0, id);
  show("pc-cpuid-extended-edx", id[3] & 0x20100800);
  cpuid(0x80000008, 0, id);
  show("pc-cpuid-widths", (id[0] & 0xff) >= 36 && (id[0] >> 8 & 0xff) == 48);
  uint64_t begin = ticks();
  bs->Stall(1000);
  show("pc-ticks", ticks() - begin > 100000);
}
#else
static void pc(void) {}
#endif

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *found) {
  self = image;
  take_services(found);
  bs->HandleProtocol(self, P(loaded_image), P(&me));
  show("begin", 0);
  tables();
  memory();
  console();
  disks();
  handles();
  variables();
  runtime();
  acpi();
  pc();
  show("end", 0);
  return 0;
}
