/* Calls services with right and wrong arguments and prints what they answer: one line "C:name value" each. The answers
   must not depend on who the firmware is. */
#include <efi.h>

static EFI_SYSTEM_TABLE *st;
static EFI_BOOT_SERVICES *bs;
static EFI_RUNTIME_SERVICES *rs;
static void *self;

#define P(x) ((void *)(x))
static const uint8_t loaded_image[16] = EFI_LOADED_IMAGE_PROTOCOL_GUID;
static const uint8_t device_path[16] = EFI_DEVICE_PATH_PROTOCOL_GUID;
static const uint8_t block_io[16] = EFI_BLOCK_IO_PROTOCOL_GUID;
static const uint8_t file_system[16] = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
static const uint8_t file_info[16] = EFI_FILE_INFO_GUID;
static const uint8_t mine[16] = {0x11, 0x22, 0x33, 0x44, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const uint8_t other[16] = {0x12, 0x22, 0x33, 0x44, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const uint8_t third[16] = {0x13, 0x22, 0x33, 0x44, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

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
  EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *out = st->ConOut;
  out->OutputString(out, line);
}

static void memory(void) {
  uint64_t at = 0;
  show("pages-type-7", bs->AllocatePages(0, 7, 1, P(&at)));
  show("pages-type-14", bs->AllocatePages(0, 14, 1, P(&at)));
  show("pages-type-16", bs->AllocatePages(0, 16, 1, P(&at)));
  show("pages-type-oem", bs->AllocatePages(0, 0x70000001, 1, P(&at)));
  show("free-oem", bs->FreePages(at, 1));
  show("pages-kind-3", bs->AllocatePages(3, 2, 1, P(&at)));
  show("pages-0", bs->AllocatePages(0, 2, 0, P(&at)));
  show("pages-many", bs->AllocatePages(0, 2, 0x100000000ull, P(&at)));
  show("pages-null", bs->AllocatePages(0, 2, 1, 0));
  at = 0;
  show("pages-max-0", bs->AllocatePages(1, 2, 1, P(&at)));
  show("pages", bs->AllocatePages(0, 2, 2, P(&at)));
  uint64_t taken = at;
  show("pages-address-taken", bs->AllocatePages(2, 2, 1, P(&at)));
  at = taken + 1;
  show("pages-address-unaligned", bs->AllocatePages(2, 2, 1, P(&at)));
  show("free-unaligned", bs->FreePages(taken + 1, 1));
  show("free-0", bs->FreePages(taken, 0));
  show("free", bs->FreePages(taken, 2));
  show("free-again", bs->FreePages(taken, 2));
  at = taken;
  show("pages-address", bs->AllocatePages(2, 2, 2, P(&at)));
  show("free-part", bs->FreePages(taken + 4096, 1));
  show("free-rest", bs->FreePages(taken, 1));
  void *pool = 0;
  show("pool-null", bs->AllocatePool(4, 16, 0));
  show("pool-type-7", bs->AllocatePool(7, 16, P(&pool)));
  show("pool-0", bs->AllocatePool(4, 0, P(&pool)));
  show("pool-0-free", bs->FreePool(pool));
  show("pool-huge", bs->AllocatePool(4, 0x7fffffffffffffffull, P(&pool)));
  show("pool-free-null", bs->FreePool(0));
  uint64_t size = 0, key = 0, stride = 0;
  uint32_t version = 0;
  show("map-small", bs->GetMemoryMap(P(&size), 0, P(&key), P(&stride), P(&version)));
  show("map-stride", stride);
  show("map-version", version);
  show("map-null", bs->GetMemoryMap(0, 0, P(&key), P(&stride), P(&version)));
  uint32_t crc = 0;
  show("crc", bs->CalculateCrc32(P("123456789"), 9, P(&crc)));
  show("crc-value", crc);
  show("crc-0", bs->CalculateCrc32(P("1"), 0, P(&crc)));
  show("crc-null", bs->CalculateCrc32(0, 1, P(&crc)));
  char text[9];
  for (int i = 0; i < 9; i++) text[i] = '0' + i;
  bs->CopyMem(text + 2, text, 6);
  show("copy-overlap", text[2] == '0' && text[7] == '5' && text[8] == '8');
}

static uint64_t order;
static void EFIAPI note(void *event, void *context) {
  (void)event;
  order = order << 4 | *(uint8_t *)context;
}

static void events(void) {
  void *event = 0, *waits[2];
  uint8_t names[4] = {1, 2, 3, 4};
  show("event-both", bs->CreateEvent(0x300, 8, P(note), P(names), P(&event)));
  show("event-no-function", bs->CreateEvent(0x200, 8, 0, 0, P(&event)));
  show("event-tpl-4", bs->CreateEvent(0x200, 4, P(note), P(names), P(&event)));
  show("event-tpl-31", bs->CreateEvent(0x200, 31, P(note), P(names), P(&event)));
  show("event-type-1", bs->CreateEvent(0x1, 8, 0, 0, P(&event)));
  show("event-null", bs->CreateEvent(0, 8, 0, 0, 0));
  show("event", bs->CreateEvent(0, 8, 0, 0, P(&event)));
  show("check", bs->CheckEvent(event));
  show("signal", bs->SignalEvent(event));
  show("check-signalled", bs->CheckEvent(event));
  show("check-again", bs->CheckEvent(event));
  show("timer-no-timer", bs->SetTimer(event, 2, 10));
  show("close", bs->CloseEvent(event));
  show("timer-event", bs->CreateEvent(0x80000000, 8, 0, 0, P(&event)));
  show("timer-kind-3", bs->SetTimer(event, 3, 10));
  show("timer-relative", bs->SetTimer(event, 2, 10000));
  waits[0] = event;
  uint64_t index = 99;
  show("wait", bs->WaitForEvent(1, P(waits), P(&index)));
  show("wait-index", index);
  show("wait-0", bs->WaitForEvent(0, P(waits), P(&index)));
  uint64_t tpl = bs->RaiseTPL(8);
  show("tpl", tpl);
  show("wait-tpl", bs->WaitForEvent(1, P(waits), P(&index)));
  bs->RestoreTPL(tpl);
  show("close-timer", bs->CloseEvent(event));
  void *a = 0, *b = 0, *c = 0, *d = 0;
  bs->CreateEvent(0x200, 8, P(note), P(names), P(&a));
  bs->CreateEvent(0x200, 16, P(note), P(names + 1), P(&b));
  bs->CreateEvent(0x200, 8, P(note), P(names + 2), P(&c));
  show("check-notify", bs->CheckEvent(a));
  waits[0] = a;
  show("wait-notify", bs->WaitForEvent(1, P(waits), P(&index)));
  tpl = bs->RaiseTPL(31);
  bs->SignalEvent(c);
  bs->SignalEvent(a);
  bs->SignalEvent(b);
  bs->SignalEvent(a);
  show("order-high", order);
  bs->RestoreTPL(16);
  show("order-notify", order);
  bs->RestoreTPL(8);
  show("order-callback", order);
  bs->RestoreTPL(tpl);
  show("order", order);
  bs->CloseEvent(a);
  bs->CloseEvent(b);
  bs->CloseEvent(c);
  order = 0;
  show("group", bs->CreateEventEx(0x200, 8, P(note), P(names), P(mine), P(&a)));
  show("group-second", bs->CreateEventEx(0x200, 16, P(note), P(names + 3), P(mine), P(&b)));
  show("group-exit-type", bs->CreateEventEx(0x201, 16, P(note), P(names), P(mine), P(&d)));
  bs->SignalEvent(a);
  show("group-order", order);
  bs->CloseEvent(a);
  bs->CloseEvent(b);
}

static void protocols(void) {
  void *handle = 0, *found = 0, *agent = 0, *agent2 = 0, *empty = 0;
  uint64_t one = 1, two = 2, count = 0, size = 0;
  show("install", bs->InstallProtocolInterface(P(&handle), P(mine), 0, &one));
  show("install-again", bs->InstallProtocolInterface(P(&handle), P(mine), 0, &one));
  show("install-type", bs->InstallProtocolInterface(P(&handle), P(other), 1, &one));
  void *bad = &one;
  show("install-bad-handle", bs->InstallProtocolInterface(P(&bad), P(other), 0, &one));
  show("handle-unknown", bs->HandleProtocol(handle, P(other), P(&found)));
  show("handle-null", bs->HandleProtocol(0, P(mine), P(&found)));
  show("handle-no-out", bs->HandleProtocol(handle, P(mine), 0));
  show("handle-found", bs->HandleProtocol(handle, P(mine), P(&found)));
  show("handle-pointer", found == &one);
  bs->InstallProtocolInterface(P(&agent), P(third), 0, 0);
  bs->InstallProtocolInterface(P(&agent2), P(third), 0, 0);
  show("open-0", bs->OpenProtocol(handle, P(mine), P(&found), agent, 0, 0));
  show("open-3", bs->OpenProtocol(handle, P(mine), P(&found), agent, 0, 3));
  show("open-test", bs->OpenProtocol(handle, P(mine), 0, agent, 0, 4));
  show("open-test-missing", bs->OpenProtocol(handle, P(other), 0, agent, 0, 4));
  show("open-get", bs->OpenProtocol(handle, P(mine), P(&found), agent, 0, 2));
  show("open-driver-no-controller", bs->OpenProtocol(handle, P(mine), P(&found), agent, 0, 0x10));
  show("open-driver", bs->OpenProtocol(handle, P(mine), P(&found), agent, handle, 0x10));
  show("open-driver-same", bs->OpenProtocol(handle, P(mine), P(&found), agent, handle, 0x10));
  show("open-driver-other", bs->OpenProtocol(handle, P(mine), P(&found), agent2, handle, 0x10));
  show("open-exclusive", bs->OpenProtocol(handle, P(mine), P(&found), agent2, handle, 0x20));
  show("open-child-self", bs->OpenProtocol(handle, P(mine), P(&found), agent, handle, 8));
  show("open-child", bs->OpenProtocol(handle, P(mine), P(&found), agent, agent2, 8));
  show("info", bs->OpenProtocolInformation(handle, P(mine), P(&found), P(&count)));
  show("info-count", count);
  show("uninstall-open", bs->UninstallProtocolInterface(handle, P(mine), &one));
  show("close-other", bs->CloseProtocol(handle, P(mine), agent2, handle));
  show("close-child", bs->CloseProtocol(handle, P(mine), agent, agent2));
  show("close-driver", bs->CloseProtocol(handle, P(mine), agent, handle));
  show("close-driver-again", bs->CloseProtocol(handle, P(mine), agent, handle));
  show("reinstall-wrong", bs->ReinstallProtocolInterface(handle, P(mine), &two, &one));
  show("reinstall", bs->ReinstallProtocolInterface(handle, P(mine), &one, &two));
  show("per-handle", bs->ProtocolsPerHandle(handle, P(&found), P(&count)));
  show("per-handle-count", count);
  show("locate", bs->LocateProtocol(P(mine), 0, P(&found)));
  show("locate-pointer", found == &two);
  show("locate-missing", bs->LocateProtocol(P(other), 0, P(&found)));
  show("locate-handle-small", bs->LocateHandle(2, P(third), 0, P(&size), 0));
  show("locate-handle-size", size);
  show("locate-handle-missing", bs->LocateHandle(2, P(other), 0, P(&size), 0));
  show("locate-handle-kind", bs->LocateHandle(3, P(third), 0, P(&size), 0));
  show("buffer-missing", bs->LocateHandleBuffer(2, P(other), 0, P(&count), P(&found)));
  show("uninstall-wrong", bs->UninstallProtocolInterface(handle, P(mine), &one));
  show("uninstall", bs->UninstallProtocolInterface(handle, P(mine), &two));
  show("handle-gone", bs->HandleProtocol(handle, P(mine), P(&found)));
  void *event = 0, *key = 0, *made = 0;
  uint8_t name = 5;
  bs->CreateEvent(0x200, 8, P(note), &name, P(&event));
  show("register", bs->RegisterProtocolNotify(P(mine), event, P(&key)));
  order = 0;
  bs->InstallProtocolInterface(P(&made), P(mine), 0, &one);
  show("register-notified", order);
  size = 8;
  show("register-locate", bs->LocateHandle(1, 0, key, P(&size), P(&found)));
  show("register-handle", found == made);
  size = 8;
  show("register-locate-again", bs->LocateHandle(1, 0, key, P(&size), P(&found)));
  bs->CloseEvent(event);
  show("multiple-again", bs->InstallMultipleProtocolInterfaces(P(&made), other, &one, mine, &one, 0));
  show("multiple-undone", bs->HandleProtocol(made, P(other), P(&found)));
  show("multiple", bs->InstallMultipleProtocolInterfaces(P(&made), other, &one, third, &two, 0));
  show("unmultiple-wrong", bs->UninstallMultipleProtocolInterfaces(made, other, &one, third, &one, 0));
  show("unmultiple-undone", bs->HandleProtocol(made, P(other), P(&found)));
  show("unmultiple", bs->UninstallMultipleProtocolInterfaces(made, other, &one, third, &two, mine, &one, 0));
  static uint8_t path[] = {4, 3, 20, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0x7f, 0xff, 4, 0};
  static uint8_t longer[] = {4, 3, 20, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
                             1, 1, 6, 0, 0, 1, 0x7f, 0xff, 4, 0};
  void *first = 0, *second = 0;
  show("path", bs->InstallMultipleProtocolInterfaces(P(&first), device_path, path, 0));
  show("path-twice", bs->InstallMultipleProtocolInterfaces(P(&second), device_path, path, 0));
  void *rest = longer;
  show("locate-path", bs->LocateDevicePath(P(device_path), P(&rest), P(&found)));
  show("locate-path-rest", (uint8_t *)rest - longer);
  show("locate-path-handle", found == first);
  rest = longer;
  show("locate-path-missing", bs->LocateDevicePath(P(other), P(&rest), P(&found)));
  show("connect-null", bs->ConnectController(0, 0, 0, 0));
  show("connect-nothing", bs->ConnectController(agent, 0, 0, 0));
  show("disconnect-null", bs->DisconnectController(0, 0, 0));
  show("disconnect-nothing", bs->DisconnectController(agent, 0, 0));
  bs->UninstallMultipleProtocolInterfaces(first, device_path, path, 0);
  bs->UninstallProtocolInterface(agent, P(third), 0);
  bs->UninstallProtocolInterface(agent2, P(third), 0);
  show("table-null", bs->InstallConfigurationTable(0, &one));
  show("table-remove-missing", bs->InstallConfigurationTable(P(mine), 0));
  uint64_t before = st->NumberOfTableEntries;
  show("table", bs->InstallConfigurationTable(P(mine), &one));
  show("table-count", st->NumberOfTableEntries - before);
  show("table-replace", bs->InstallConfigurationTable(P(mine), &two));
  show("table-count-same", st->NumberOfTableEntries - before);
  show("table-remove", bs->InstallConfigurationTable(P(mine), 0));
  (void)empty;
}

static void images(void) {
  void *image = 0;
  uint8_t junk[512];
  for (int i = 0; i < 512; i++) junk[i] = i;
  show("load-nothing", bs->LoadImage(0, self, 0, 0, 0, P(&image)));
  show("load-junk", bs->LoadImage(0, self, 0, junk, sizeof junk, P(&image)));
  show("load-size-0", bs->LoadImage(0, self, 0, junk, 0, P(&image)));
  show("load-no-parent", bs->LoadImage(0, 0, 0, junk, sizeof junk, P(&image)));
  show("start-null", bs->StartImage(0, 0, 0));
  show("start-self", bs->StartImage(self, 0, 0));
  show("unload-null", bs->UnloadImage(0));
  show("exit-null", bs->Exit(0, 0, 0, 0));
}

static void variables(void) {
  static uint16_t name[] = {'c', 'l', 'o', 'u', 'd', 'b', 'o', 'o', 't', 0}, none[] = {0};
  static uint16_t missing[] = {'n', 'o', 'n', 'e', 0};
  uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[16];
  uint32_t attributes = 0;
  uint64_t size = 2;
  show("set", rs->SetVariable(name, P(mine), 6, 4, data));
  show("get-small", rs->GetVariable(name, P(mine), P(&attributes), P(&size), out));
  show("get-size", size);
  show("get", rs->GetVariable(name, P(mine), P(&attributes), P(&size), out));
  show("get-attributes", attributes);
  show("get-no-data", rs->GetVariable(name, P(mine), 0, P(&size), 0));
  show("set-other-attributes", rs->SetVariable(name, P(mine), 2, 4, data));
  show("set-append", rs->SetVariable(name, P(mine), 0x46, 2, data));
  size = 16;
  rs->GetVariable(name, P(mine), 0, P(&size), out);
  show("append-size", size);
  show("set-runtime-only", rs->SetVariable(missing, P(mine), 4, 4, data));
  show("set-no-name", rs->SetVariable(none, P(mine), 6, 4, data));
  show("set-null-name", rs->SetVariable(0, P(mine), 6, 4, data));
  show("delete", rs->SetVariable(name, P(mine), 6, 0, 0));
  show("delete-again", rs->SetVariable(name, P(mine), 6, 0, 0));
  show("get-missing", rs->GetVariable(missing, P(mine), 0, P(&size), out));
  show("get-null", rs->GetVariable(0, P(mine), 0, P(&size), out));
  uint16_t next[64] = {'n', 'o', 'n', 'e', 0};
  uint8_t guid[16];
  for (int i = 0; i < 16; i++) guid[i] = mine[i];
  size = sizeof next;
  show("next-missing", rs->GetNextVariableName(P(&size), next, guid));
  next[0] = 0;
  size = 2;
  show("next-small", rs->GetNextVariableName(P(&size), next, guid));
  show("next-null", rs->GetNextVariableName(0, next, guid));
  uint64_t a, b, c;
  show("query-0", rs->QueryVariableInfo(0, P(&a), P(&b), P(&c)));
  show("query-null", rs->QueryVariableInfo(6, 0, P(&b), P(&c)));
  show("query", rs->QueryVariableInfo(6, P(&a), P(&b), P(&c)));
  show("time-null", rs->GetTime(0, 0));
}

static void console(void) {
  EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *out = st->ConOut;
  EFI_SIMPLE_TEXT_INPUT_PROTOCOL *in = st->ConIn;
  uint64_t columns = 0, rows = 0;
  show("mode-0", out->QueryMode(out, 0, P(&columns), P(&rows)));
  show("mode-0-columns", columns);
  show("mode-0-rows", rows);
  show("mode-999", out->QueryMode(out, 999, P(&columns), P(&rows)));
  show("set-mode-999", out->SetMode(out, 999));
  show("cursor-999", out->SetCursorPosition(out, 9999, 0));
  show("attribute-100", out->SetAttribute(out, 0x100));
  uint32_t key = 0;
  show("key", in->ReadKeyStroke(in, P(&key)));
}

static void disk(void) {
  EFI_LOADED_IMAGE_PROTOCOL *me = 0;
  EFI_BLOCK_IO_PROTOCOL *block = 0;
  static uint8_t buffer[4096] __attribute__((aligned(4096)));
  bs->HandleProtocol(self, P(loaded_image), P(&me));
  show("block", bs->HandleProtocol(me->DeviceHandle, P(block_io), P(&block)));
  uint32_t media = *(uint32_t *)block->Media;
  uint64_t last = *(uint64_t *)((uint8_t *)block->Media + 24);
  show("block-last", last);
  show("block-media", block->ReadBlocks(block, media + 1, 0, 512, buffer));
  show("block-size", block->ReadBlocks(block, media, 0, 511, buffer));
  show("block-0", block->ReadBlocks(block, media, 0, 0, buffer));
  show("block-null", block->ReadBlocks(block, media, 0, 512, 0));
  show("block-end", block->ReadBlocks(block, media, last + 1, 512, buffer));
  show("block-over-end", block->ReadBlocks(block, media, last, 1024, buffer));
  show("block-last-read", block->ReadBlocks(block, media, last, 512, buffer));
  show("block-read", block->ReadBlocks(block, media, 0, 512, buffer));
  show("block-signature", buffer[510] | buffer[511] << 8);
  EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *volume = 0;
  EFI_FILE_PROTOCOL *root = 0, *file = 0;
  show("volume", bs->HandleProtocol(me->DeviceHandle, P(file_system), P(&volume)));
  show("open-volume", volume->OpenVolume(volume, P(&root)));
  static uint16_t none[] = {'n', 'o', 'n', 'e', 0}, hello[] = {'\\', 'H', 'e', 'l', 'l', 'o', '.', 't', 'x', 't', 0};
  static uint16_t up[] = {'e', 'f', 'i', '\\', '.', '.', '\\', 'h', 'e', 'l', 'l', 'o', '.', 't', 'x', 't', 0};
  static uint16_t below[] = {'h', 'e', 'l', 'l', 'o', '.', 't', 'x', 't', '\\', 'x', 0};
  show("file-missing", root->Open(root, P(&file), none, 1, 0));
  show("file-below-file", root->Open(root, P(&file), below, 1, 0));
  show("file-write", root->Open(root, P(&file), hello, 3, 0));
  show("file-create", root->Open(root, P(&file), none, 0x8000000000000003ull, 0));
  show("file-mode-2", root->Open(root, P(&file), hello, 2, 0));
  show("file-up", root->Open(root, P(&file), up, 1, 0));
  uint64_t size = 4, position = 0;
  show("read", file->Read(file, P(&size), buffer));
  show("read-size", size);
  show("position", file->GetPosition(file, P(&position)));
  show("position-value", position);
  show("set-position-end", file->SetPosition(file, ~0ull));
  file->GetPosition(file, P(&position));
  show("position-end", position);
  size = 4;
  show("read-end", file->Read(file, P(&size), buffer));
  show("read-end-size", size);
  show("set-position-beyond", file->SetPosition(file, 100000));
  size = 4;
  show("read-beyond", file->Read(file, P(&size), buffer));
  size = 4;
  show("info-small", file->GetInfo(file, P(file_info), P(&size), buffer));
  show("info-size", size);
  show("info", file->GetInfo(file, P(file_info), P(&size), buffer));
  show("info-file-size", *(uint64_t *)(buffer + 8));
  show("info-attribute", *(uint64_t *)(buffer + 72));
  show("info-other", file->GetInfo(file, P(mine), P(&size), buffer));
  show("file-delete-mode", file->Close(file));
  size = 0;
  show("directory-small", root->Read(root, P(&size), 0));
  show("directory-position", root->GetPosition(root, P(&position)));
  show("directory-seek", root->SetPosition(root, 5));
  show("directory-rewind", root->SetPosition(root, 0));
  for (int i = 0; i < 4; i++) {
    size = sizeof buffer;
    show("directory", root->Read(root, P(&size), buffer));
    show("directory-entry", size);
    if (size) show("directory-attribute", *(uint64_t *)(buffer + 72));
  }
  show("close-root", root->Close(root));
}

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  self = image;
  st = table;
  bs = table->BootServices;
  rs = table->RuntimeServices;
  show("begin", 0);
  memory();
  events();
  protocols();
  images();
  variables();
  console();
  disk();
  show("exit-boot-services-stale", bs->ExitBootServices(image, 0x123456789));
  show("end", 0);
  return 0;
}
