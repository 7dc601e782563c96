/* Calls services with right and wrong arguments and prints what they answer: one line "C:name value" each. The answers
   must not depend on who the firmware is. */
#include "answers.h"

static void *self;

static const uint8_t file_info[16] = EFI_FILE_INFO_GUID;
static const uint8_t mine[16] = {0x11, 0x22, 0x33, 0x44, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const uint8_t other[16] = {0x12, 0x22, 0x33, 0x44, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const uint8_t third[16] = {0x13, 0x22, 0x33, 0x44, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

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
  /* The specification's own GUID: names, attributes and sizes that it does not have. */
  static const uint8_t spec[16] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0, 0xe0, 0x98, 3, 0x2b, 0x8c};
  static uint16_t boot[] = {'B', 'o', 'o', 't', '0', 'A', 'B', 'C', 0}, bootx[] = {'B', 'o', 'o', 't', '0', 'a', 'b', 'c', 0};
  static uint16_t boot_next[] = {'B', 'o', 'o', 't', 'N', 'e', 'x', 't', 0};
  static uint16_t current[] = {'B', 'o', 'o', 't', 'C', 'u', 'r', 'r', 'e', 'n', 't', 0};
  static uint16_t supported[] = {'B', 'o', 'o', 't', 'O', 'p', 't', 'i', 'o', 'n', 'S', 'u', 'p', 'p', 'o', 'r', 't', 0};
  show("global-foreign", rs->SetVariable(name, P(spec), 7, 4, data));
  show("global-foreign-delete", rs->SetVariable(name, P(spec), 7, 0, 0));
  show("global-next", rs->SetVariable(boot_next, P(spec), 7, 2, data));
  show("global-next-size", rs->SetVariable(boot_next, P(spec), 7, 4, data));
  show("global-next-attributes", rs->SetVariable(boot_next, P(spec), 6, 2, data));
  show("global-next-delete", rs->SetVariable(boot_next, P(spec), 7, 0, 0));
  show("global-next-again", rs->SetVariable(boot_next, P(spec), 7, 0, 0));
  show("global-boot-lower", rs->SetVariable(bootx, P(spec), 7, 8, data));
  show("global-boot-attributes", rs->SetVariable(boot, P(spec), 6, 8, data));
  show("global-boot-none", rs->SetVariable(boot, P(spec), 7, 0, 0));
  show("global-current", rs->SetVariable(current, P(spec), 6, 2, data));
  show("global-current-delete", rs->SetVariable(current, P(spec), 0, 0, 0));
  show("global-support", rs->SetVariable(supported, P(spec), 6, 4, data));
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
  /* A directory below the root, and one below that: names, sizes and attributes, "." and ".." among them. */
  static uint16_t efi[] = {'E', 'F', 'I', 0}, boot[] = {'E', 'F', 'I', '\\', 'B', 'O', 'O', 'T', 0};
  for (int level = 0; level < 2; level++) {
    show("below", root->Open(root, P(&file), level ? boot : efi, 1, 0));
    size = sizeof buffer;
    show("below-info", file->GetInfo(file, P(file_info), P(&size), buffer));
    show("below-size", *(uint64_t *)(buffer + 8));
    for (int i = 0; i < 4; i++) {
      size = sizeof buffer;
      show("below-read", file->Read(file, P(&size), buffer));
      if (!size) break;
      show("below-name", *(uint32_t *)(buffer + 80));
      show("below-attribute", *(uint64_t *)(buffer + 72));
      if (!(*(uint64_t *)(buffer + 72) & 0x10)) continue; /* the loader has other names on other processors */
      show("below-entry", size);
      show("below-length", *(uint64_t *)(buffer + 8));
      show("below-physical", *(uint64_t *)(buffer + 16));
    }
    file->Close(file);
  }
  static const uint8_t volume_info[16] = {0x93, 0x6e, 0x57, 0x09, 0x3f, 0x6d, 0xd2, 0x11, 0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b};
  size = sizeof buffer;
  show("volume-info", root->GetInfo(root, P(volume_info), P(&size), buffer));
  show("volume-size", *(uint64_t *)(buffer + 16));
  show("volume-read-only", buffer[8]);
#if defined(__x86_64__) /* the loader has other sizes on other processors */
  show("pc-volume-free", *(uint64_t *)(buffer + 24));
#endif
  show("volume-block", *(uint32_t *)(buffer + 32));
  size = sizeof buffer;
  show("root-info", root->GetInfo(root, P(file_info), P(&size), buffer));
  show("root-size", *(uint64_t *)(buffer + 8));
  show("close-root", root->Close(root));
}

/* What the boot loaders of the BSDs and of Windows ask for before they show anything. */
static uint64_t claim(uint64_t kind, uint64_t type, uint64_t pages, uint64_t address) {
  uint64_t at = address;
  uint64_t status = bs->AllocatePages(kind, type, pages, P(&at));
  if (status) return status;
  uint64_t wrong = at & 4095 || (kind == 1 && at + pages * 4096 - 1 > address) || (kind == 2 && at != address);
  for (uint64_t i = 0; i < pages * 4096 && !wrong; i += 4096) *(volatile uint64_t *)(at + i) = at + i;
  for (uint64_t i = 0; i < pages * 4096 && !wrong; i += 4096) wrong = *(volatile uint64_t *)(at + i) != at + i;
  return wrong ? 0x77 : bs->FreePages(at, pages);
}

static void loaders(void) {
  show("watchdog-off", bs->SetWatchdogTimer(0, 0, 0, 0));
  show("revision", st->Hdr[10] >= 2);
  show("vendor", *(uint16_t *)st->FirmwareVendor != 0);
  /* FreeBSD's staging area, 64 MiB anywhere, then below 4 GiB; OpenBSD's load space; NetBSD's of 128 MiB. */
  show("staging-any", claim(0, 1, 0x4000, 0));
  show("staging-4g", claim(1, 1, 0x4000, 0xffffffff));
  show("staging-data", claim(0, 2, 0x8000, 0));
#ifdef __x86_64__
  show("pc-heap-12m", claim(1, 2, 0x100, 0xc00000));
  show("pc-max-1g", claim(1, 2, 0x4000, 0x3fffffff));
  show("pc-trampoline-640k", claim(1, 1, 1, 0x9ffff));
  show("pc-kernel-16m", claim(2, 2, 0x1000, 0x1000000));
  show("pc-kernel-32m", claim(2, 2, 0x100, 0x2000000));
#endif
  static uint8_t map[65536];
  uint64_t size = sizeof map, key = 0, stride = 0, types = 0, wb = 1, overlap = 0, end = 0, ram = 0, aligned = 1, rt = 0;
  uint32_t version = 0;
  show("memory-map", bs->GetMemoryMap(P(&size), map, P(&key), P(&stride), P(&version)));
  for (uint64_t at = 0; at < size; at += stride) {
    uint32_t type = *(uint32_t *)(map + at);
    uint64_t start = *(uint64_t *)(map + at + 8), pages = *(uint64_t *)(map + at + 24);
    uint64_t attribute = *(uint64_t *)(map + at + 32);
    types |= 1ull << (type & 63);
    if (type == 7 || type == 4) wb = wb && attribute & 8, ram += pages;
    if (start & 4095 || !pages) aligned = 0;
    if (at && start < end) overlap = 1;
    end = start + pages * 4096;
    if ((type == 5 || type == 6) && !(attribute >> 63)) rt = 1;
  }
  show("memory-map-types", types & 0x2fe);
  show("memory-map-wb", wb);
  show("memory-map-sorted", !overlap);
  show("memory-map-aligned", aligned);
  show("memory-map-runtime", rt);
  show("memory-map-ram", ram > 0x8000);
  /* The device that the loader came from, its disk, and the way between them. */
  EFI_LOADED_IMAGE_PROTOCOL *me = 0;
  show("my-image", bs->HandleProtocol(self, P(loaded_image), P(&me)));
  show("my-revision", me->Revision);
  show("my-parent", me->ParentHandle != 0);
  show("my-table", me->SystemTable == st);
  show("my-types", me->ImageCodeType << 8 | me->ImageDataType);
  show("my-base", (uint8_t *)me->ImageBase <= (uint8_t *)loaders && (uint8_t *)loaders < (uint8_t *)me->ImageBase + me->ImageSize);
  uint8_t *path = 0, *file = me->FilePath;
  show("my-file", file[0] << 8 | file[1]);
  show("my-device-path", bs->HandleProtocol(me->DeviceHandle, P(device_path), P(&path)));
  uint8_t *last = 0;
  uint64_t length = 0;
  for (uint8_t *node = path; node[0] != 0x7f; node += node[2] | node[3] << 8) last = node, length = node + (node[2] | node[3] << 8) - path;
  show("my-device-hd", last[0] << 8 | last[1]);
  show("my-device-size", last[2] | last[3] << 8);
  show("my-device-number", *(uint32_t *)(last + 4));
  show("my-device-start", *(uint64_t *)(last + 8));
  show("my-device-gpt", last[40] << 8 | last[41]);
  size = 0;
  show("disks-small", bs->LocateHandle(2, P(block_io), 0, P(&size), 0));
  void *handles[64];
  show("disks", bs->LocateHandle(2, P(block_io), 0, P(&size), handles));
  uint64_t whole = 0, parts = 0, mine_found = 0;
  for (uint64_t i = 0; i < size / 8; i++) {
    EFI_BLOCK_IO_PROTOCOL *block = 0;
    uint8_t *other_path = 0;
    if (bs->HandleProtocol(handles[i], P(block_io), P(&block)) || bs->HandleProtocol(handles[i], P(device_path), P(&other_path))) continue;
    uint8_t *media = block->Media;
    if (!media[5]) continue; /* MediaPresent */
    uint64_t here = 0;
    for (uint8_t *node = other_path; node[0] != 0x7f; node += node[2] | node[3] << 8) here += node[2] | node[3] << 8;
    uint64_t same = here <= length;
    for (uint64_t j = 0; j < here && same; j++) same = other_path[j] == path[j];
    if (!same) continue;
    if (media[6]) { /* LogicalPartition */
      parts++;
      mine_found = handles[i] == me->DeviceHandle;
      show("partition-block-size", *(uint32_t *)(media + 12));
      show("partition-last", *(uint64_t *)(media + 24) + 1 == *(uint64_t *)(last + 16));
    } else {
      whole++;
      static uint8_t sector[512] __attribute__((aligned(512)));
      show("disk-read", block->ReadBlocks(block, *(uint32_t *)media, 1, 512, sector));
      show("disk-gpt", *(uint64_t *)sector);
    }
  }
  show("disk-count", whole);
  show("partition-count", parts);
  show("partition-mine", mine_found);
  void *rest = path, *found = 0;
  show("path-device", bs->LocateDevicePath(P(block_io), P(&rest), P(&found)));
  show("path-device-mine", found == me->DeviceHandle);
  show("path-device-rest", *(uint8_t *)rest);
  static const uint8_t image_path[16] = EFI_LOADED_IMAGE_DEVICE_PATH_PROTOCOL_GUID;
  void *whole_path = 0;
  show("image-path", bs->HandleProtocol(self, P(image_path), P(&whole_path)));
  rest = whole_path;
  show("path-image", bs->LocateDevicePath(P(file_system), P(&rest), P(&found)));
  show("path-image-rest", ((uint8_t *)rest)[0] << 8 | ((uint8_t *)rest)[1]);
  show("open-exclusive-agent", bs->OpenProtocol(me->DeviceHandle, P(block_io), P(&found), 0, 0, 0x20));
  /* The console. */
  static const uint8_t input_ex[16] = EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL_GUID;
  static const uint8_t text_output[16] = EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL_GUID;
  EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL *ex = 0;
  EFI_SIMPLE_TEXT_INPUT_PROTOCOL *in = st->ConIn;
  EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *out = st->ConOut;
  show("console-out", bs->HandleProtocol(st->ConsoleOutHandle, P(text_output), P(&found)));
  show("console-out-same", found == out);
  show("input-ex", bs->OpenProtocol(st->ConsoleInHandle, P(input_ex), P(&ex), self, 0, 2));
  uint8_t key_data[16];
  show("input-ex-null", ex->ReadKeyStrokeEx(ex, 0));
  show("input-ex-none", ex->ReadKeyStrokeEx(ex, P(key_data)));
  show("input-wait-none", bs->CheckEvent(in->WaitForKey));
  show("input-ex-wait-none", bs->CheckEvent(ex->WaitForKeyEx));
  show("input-ex-state-null", ex->SetState(ex, 0));
  show("enable-cursor", out->EnableCursor(out, 0) & 0xff00);
  show("set-attribute", out->SetAttribute(out, 0x07));
  show("set-mode-0", out->SetMode(out, 0));
  /* Variables that say how the machine was started. */
    static uint16_t names[][16] = {{'C', 'o', 'n', 'O', 'u', 't'}, {'C', 'o', 'n', 'I', 'n'}, {'S', 'e', 'c', 'u', 'r', 'e', 'B', 'o', 'o', 't'},
    {'S', 'e', 't', 'u', 'p', 'M', 'o', 'd', 'e'}, {'P', 'l', 'a', 't', 'f', 'o', 'r', 'm', 'L', 'a', 'n', 'g'},
    {'T', 'i', 'm', 'e', 'o', 'u', 't'}, {'O', 's', 'I', 'n', 'd', 'i', 'c', 'a', 't', 'i', 'o', 'n', 's'}};
  for (int i = 0; i < 7; i++) {
    uint32_t attributes = 0;
    uint8_t value[512];
    size = sizeof value;
    show("variable", rs->GetVariable(names[i], P(global), P(&attributes), P(&size), value));
    show("variable-attributes", attributes);
    if (size == 1) show("variable-value", value[0]);
  }
  uint8_t time[16], capabilities[12];
  show("time", rs->GetTime(time, P(capabilities)));
  show("time-valid", *(uint16_t *)time >= 2020 && time[2] - 1 < 12 && time[3] - 1 < 31 && time[4] < 24 && time[5] < 60 && time[6] < 60);
  static const uint8_t acpi[16] = EFI_ACPI_20_TABLE_GUID;
  uint64_t rsdp = 0;
  for (uint64_t i = 0; i < st->NumberOfTableEntries; i++) {
    uint8_t *entry = (uint8_t *)st->ConfigurationTable + 24 * i;
    uint64_t equal = 1;
    for (int j = 0; j < 16; j++) equal = equal && entry[j] == acpi[j];
    if (equal) rsdp = *(uint64_t *)(entry + 16);
  }
  uint64_t xsdt = *(uint64_t *)(rsdp + 24), listed = (*(uint32_t *)(xsdt + 4) - 36) / 8, fixed = 0, interrupts = 0;
  for (uint64_t i = 0; i < listed; i++) {
    uint32_t *signature = *(uint32_t **)(xsdt + 36 + 8 * i);
    fixed |= *signature == 0x50434146; /* FACP */
    interrupts |= *signature == 0x43495041; /* APIC */
  }
  show("acpi-rsdp", *(uint64_t *)rsdp);
  show("acpi-fixed", fixed);
  show("acpi-interrupts", interrupts);
}

#ifdef __x86_64__
static void out8(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
static void out32(uint16_t port, uint32_t value) { __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port)); }
static uint8_t in8(uint16_t port) {
  uint8_t value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static uint32_t in32(uint16_t port) {
  uint32_t value;
  __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static uint64_t msr(uint32_t index) {
  uint32_t low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
  return (uint64_t)high << 32 | low;
}
static uint8_t clock(uint8_t index) {
  out8(0x70, index);
  return in8(0x71);
}
/* Milliseconds that the interval timer's channel 2 takes for 65535 ticks (54.9 ms), by the ACPI timer. */
static uint64_t interval(void) {
  out8(0x61, in8(0x61) & ~3);
  out8(0x43, 0xb0);
  out8(0x42, 0xff);
  out8(0x42, 0xff);
  out8(0x61, (in8(0x61) & ~2) | 1);
  uint64_t begin = in32(0x608);
  while (!(in8(0x61) & 0x20)) __asm__ volatile("pause");
  return ((in32(0x608) - begin) & 0xffffff) * 1000 / 3579545;
}

struct frame {
  uint64_t ip, cs, flags, sp, ss;
};
static uint64_t caught[3];
static uint16_t own_cs;
__attribute__((interrupt)) static void on_undefined(struct frame *frame) {
  caught[0]++;
  caught[2] = frame->cs == own_cs && frame->flags >> 9 & 1;
  frame->ip += 2; /* ud2 */
}
__attribute__((interrupt)) static void on_breakpoint(struct frame *frame) {
  (void)frame;
  caught[1]++;
}
/* What a handler of a fault with an error code saw: vector, error code, CR2, and whether the frame has our stack. */
static volatile uint64_t fault[4], resume_ip;
static uint64_t fault_sp;
static void record(struct frame *frame, uint64_t vector, uint64_t error) {
  uint64_t address;
  __asm__ volatile("mov %%cr2, %0" : "=r"(address));
  fault[0] = vector, fault[1] = error, fault[2] = address;
  fault[3] = frame->cs == own_cs && frame->sp - fault_sp + 4096 < 8192 && frame->sp % 8 == 0;
  frame->ip = resume_ip;
}
__attribute__((interrupt)) static void on_divide(struct frame *frame) { record(frame, 0, 0); }
__attribute__((interrupt)) static void on_protection(struct frame *frame, uint64_t error) { record(frame, 13, error); }
__attribute__((interrupt)) static void on_page(struct frame *frame, uint64_t error) { record(frame, 14, error); }
/* Run one instruction that faults; go on behind it. */
#define FAULTS(instruction, ...)                                                          \
  __asm__ volatile("lea 1f(%%rip), %%r11; mov %%r11, %0; mov %%rsp, %1; " instruction "; 1:" \
                   : "=m"(resume_ip), "=m"(fault_sp) : __VA_ARGS__ : "rax", "rcx", "rdx", "r11", "memory")
static void show_fault(const char *vector, const char *error, int addressed) {
  show(vector, fault[0]);
  show(error, fault[1]);
  if (addressed) show("pc-fault-address", fault[2]);
  show("pc-fault-frame", fault[3]);
  fault[0] = fault[1] = fault[2] = fault[3] = 99;
}
static void faults(void) {
  FAULTS("xor %%eax, %%eax; xor %%edx, %%edx; div %%eax", "r"(0ull));
  show_fault("pc-divide-vector", "pc-divide-error", 0);
  FAULTS("mov (%2), %%rax", "r"(0x7ead00000000ull));
  show_fault("pc-read-vector", "pc-read-error", 1);
  FAULTS("movb $1, (%2)", "r"(0x7ead00000abcull));
  show_fault("pc-write-vector", "pc-write-error", 1);
  FAULTS("mov (%2), %%rax", "r"(0x8000000000000000ull));
  show_fault("pc-canonical-vector", "pc-canonical-error", 0);
  FAULTS("mov %2, %%ds", "r"(0x1230ull));
  show_fault("pc-selector-vector", "pc-selector-error", 0);
  FAULTS("int $0x51", "r"(0ull));
  show_fault("pc-gate-vector", "pc-gate-error", 0);
}
/* The timer interrupt wakes HLT, at the application's level and at TPL_NOTIFY; HIGH_LEVEL masks interrupts. */
static void waits(void) {
  uint64_t flags, before;
  __asm__ volatile("pushfq; pop %0" : "=r"(flags));
  show("pc-interrupts", flags >> 9 & 1);
  before = bs->RaiseTPL(31);
  __asm__ volatile("pushfq; pop %0" : "=r"(flags));
  show("pc-interrupts-high", flags >> 9 & 1);
  bs->RestoreTPL(before);
  __asm__ volatile("pushfq; pop %0" : "=r"(flags));
  show("pc-interrupts-back", flags >> 9 & 1);
  uint32_t begin = in32(0x608);
  for (int i = 0; i < 3; i++) __asm__ volatile("hlt");
  uint32_t took = (in32(0x608) - begin) & 0xffffff;
  show("pc-halt", took > 3579 && took < 3579545);
  void *event = 0;
  bs->CreateEvent(0x80000000, 0, 0, 0, (void *)&event);
  bs->SetTimer(event, 2, 300000);
  uint64_t count = 0;
  while (bs->CheckEvent(event)) {
    __asm__ volatile("hlt");
    count++;
  }
  show("pc-halt-timer", count > 0 && count < 1000);
  bs->CloseEvent(event);
}
static void apic(void) {
  volatile uint32_t *local = (volatile uint32_t *)0xfee00000;
  show("pc-apic-id", local[0x20 / 4] >> 24);
  show("pc-apic-version", local[0x30 / 4] & 0xff);
  show("pc-apic-spurious", local[0xf0 / 4] >> 8 & 1);
  show("pc-apic-in-service", local[0x100 / 4] | local[0x110 / 4]);
  uint32_t kept = local[0x80 / 4];
  local[0x80 / 4] = 0x20;
  show("pc-apic-priority", local[0x80 / 4]);
  local[0x80 / 4] = kept;
  uint32_t vector = local[0x320 / 4], divide = local[0x3e0 / 4], count = local[0x380 / 4];
  local[0x320 / 4] = 0x10000;
  local[0x3e0 / 4] = 0xb;
  local[0x380 / 4] = 0xffffffff;
  bs->Stall(1000);
  show("pc-apic-timer-by-1", 0xffffffff - local[0x390 / 4] >= 900000);
  local[0x3e0 / 4] = 0xa;
  local[0x380 / 4] = 0xffffffff;
  bs->Stall(1000);
  uint32_t slow = 0xffffffff - local[0x390 / 4];
  show("pc-apic-timer-by-128", slow >= 7000 && slow < 900000);
  local[0x3e0 / 4] = 0xb;
  local[0x380 / 4] = 1000;
  bs->Stall(100);
  show("pc-apic-timer-once", local[0x390 / 4]);
  local[0x320 / 4] = 0x30000;
  local[0x380 / 4] = 1000;
  bs->Stall(100);
  uint32_t again = local[0x390 / 4];
  show("pc-apic-timer-periodic", again > 0 && again <= 1000);
  local[0x380 / 4] = 0;
  show("pc-apic-timer-stopped", local[0x390 / 4]);
  local[0x320 / 4] = vector, local[0x3e0 / 4] = divide, local[0x380 / 4] = count;
}
static void gate(uint8_t *table, int number, void *handler) {
  uint64_t address = (uint64_t)handler;
  uint16_t *at = (uint16_t *)(table + 16 * number);
  at[0] = address, at[1] = own_cs, at[2] = 0x8e00, at[3] = address >> 16;
  *(uint64_t *)(at + 4) = address >> 32;
}
static void exceptions(void) {
  struct __attribute__((packed)) {
    uint16_t limit;
    uint64_t base;
  } old, own;
  static uint8_t table[4096] __attribute__((aligned(16)));
  __asm__ volatile("mov %%cs, %0; sidt %1" : "=r"(own_cs), "=m"(old));
  for (int i = 0; i < 4096 && i <= old.limit; i++) table[i] = ((uint8_t *)old.base)[i];
  gate(table, 6, on_undefined);
  gate(table, 3, on_breakpoint);
  gate(table, 0x50, on_breakpoint);
  gate(table, 0, on_divide);
  gate(table, 13, on_protection);
  gate(table, 14, on_page);
  for (int i = 0; i < 16; i++) table[16 * 0x51 + i] = 0;
  own.limit = 4095;
  own.base = (uint64_t)table;
  uint64_t sum = 0;
  __asm__ volatile("sti; lidt %0" ::"m"(own));
  for (uint64_t i = 0; i < 3; i++) {
    __asm__ volatile("ud2; int3; int $0x50; add $5, %0" : "+r"(sum)::"memory");
  }
  __asm__ volatile("cli");
  faults();
  __asm__ volatile("lidt %0; sti" ::"m"(old));
  show("pc-exception-undefined", caught[0]);
  show("pc-exception-breakpoint", caught[1]);
  show("pc-exception-frame", caught[2]);
  show("pc-exception-registers", sum);
}

static void pc(void) {
  uint32_t a, b, c, d;
  show("pc-com-line", in8(0x3fd) & 0x60);
  out8(0x3ff, 0x5a);
  show("pc-com-scratch", in8(0x3ff));
  uint8_t modem = in8(0x3fc), line = in8(0x3fb);
  out8(0x3fc, 0x1a);
  uint8_t looped = in8(0x3fe) & 0xf0;
  out8(0x3fc, modem);
  show("pc-com-loop", looped);
  out8(0x3fb, line | 0x80);
  out8(0x3fb, line);
  show("pc-com-received", in8(0x3fd) & 1);
  out32(0xcf8, 0x80000000);
  show("pc-pci-bridge", in32(0xcfc));
  out32(0xcf8, 0x80000008);
  show("pc-pci-class", in32(0xcfc) >> 16);
  out32(0xcf8, 0x80fff800);
  show("pc-pci-none", in32(0xcfc));
  show("pc-nothing-there", in8(0x2f8 + 5) | in8(0x5f0));
  uint8_t status_b = clock(0x0b);
  show("pc-clock-24h", status_b & 6);
  show("pc-clock-valid", clock(0x0d) & 0x80);
  show("pc-clock-century", clock(0x32));
  uint8_t second = clock(0), month = clock(8);
  show("pc-clock-bcd", (second & 15) < 10 && second < 0x60 && month && month <= 0x12);
  show("pc-acpi-sci", in8(0x604) & 1);
  uint32_t first = in32(0x608), then = first;
  for (int i = 0; i < 100000 && then == first; i++) then = in32(0x608);
  show("pc-acpi-timer", ((then - first) & 0xffffff) - 1 < 0x100000);
  uint64_t passed = interval();
  show("pc-interval-acpi", passed >= 54 && passed < 2000);
  a = 0x80000001, c = 0;
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  show("pc-cpuid-nx-lm", d >> 29 & 1 && d >> 20 & 1);
  show("pc-cpuid-lahf", c & 1);
  a = 1, c = 0;
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  show("pc-cpuid-cx16", c >> 13 & 1);
  show("pc-cpuid-apic-msr-pat-pge", (d >> 5 & 1) + (d >> 9 & 1) + (d >> 12 & 1) + (d >> 13 & 1) + (d >> 16 & 1));
  show("pc-efer", msr(0xc0000080) & 0x500);
  show("pc-apic-base", msr(0x1b) & 0xfffff900);
  show("pc-mtrr-count", msr(0xfe) & 0xff);
  uint64_t pat = msr(0x277);
  show("pc-pat", pat & 0x0707070707070707);
  uint64_t efer = msr(0xc0000080);
  __asm__ volatile("wrmsr" ::"a"((uint32_t)efer | 0x800), "d"((uint32_t)(efer >> 32)), "c"(0xc0000080));
  show("pc-efer-nx", msr(0xc0000080) >> 11 & 1);
  struct __attribute__((packed)) {
    uint16_t limit;
    uint64_t base;
  } gdt, mine_gdt;
  __asm__ volatile("sgdt %0" : "=m"(gdt));
  /* A table of its own with the same selectors, its own page tables, and back: what boot managers do around each call. */
  static uint64_t descriptors[16] __attribute__((aligned(16)));
  for (uint64_t i = 0; i <= gdt.limit / 8 && i < 16; i++) descriptors[i] = ((uint64_t *)gdt.base)[i];
  mine_gdt.limit = gdt.limit < 127 ? gdt.limit : 127;
  mine_gdt.base = (uint64_t)descriptors;
  static uint64_t top[512] __attribute__((aligned(4096)));
  uint64_t cr3, level4;
  __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
  level4 = cr3 & ~0xfffull;
  for (int i = 0; i < 512; i++) top[i] = ((uint64_t *)level4)[i];
  __asm__ volatile("cli; lgdt %0; mov %1, %%cr3" ::"m"(mine_gdt), "r"((uint64_t)top) : "memory");
  volatile uint64_t probe = 0x1234;
  show("pc-own-tables", probe);
  __asm__ volatile("mov %0, %%cr3; lgdt %1; sti" ::"r"(cr3), "m"(gdt) : "memory");
  show("pc-first-tables", probe);
  exceptions();
  waits();
  apic();
}
#else
static void pc(void) {}
#endif

/* Unicode collation. */
static uint64_t hash(const void *data, uint64_t size) {
  uint64_t value = 0xcbf29ce484222325;
  for (uint64_t i = 0; i < size; i++) value = (value ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
  return value;
}

static void collation(void) {
  static const uint8_t protocol[16] = EFI_UNICODE_COLLATION_PROTOCOL2_GUID;
  EFI_UNICODE_COLLATION_PROTOCOL2 *english = 0;
  show("collation", bs->LocateProtocol(P(protocol), 0, P(&english)));
  if (!english) return;
  const uint8_t *languages = english->SupportedLanguages;
  show("collation-english", languages[0] << 8 | languages[1]);
  static const uint16_t pairs[][2][12] = {
    {u"", u""}, {u"Abc", u"aBC"}, {u"abc", u"abcd"}, {u"abcd", u"abc"}, {u"b", u"A"}, {u"\u00e9", u"\u00c9"},
    {u"\u00f7", u"\u00d7"}, {u"\u0100", u"\u0101"}, {u"a_", u"aZ"}};
  for (uint64_t i = 0; i < sizeof pairs / sizeof *pairs; i++) show("collation-compare", english->StriColl(english, P(pairs[i][0]), P(pairs[i][1])));
  static const uint16_t patterns[][2][12] = {
    {u"", u""}, {u"", u"*"}, {u"a", u""}, {u"", u"?"}, {u"boot.EFI", u"*.efi"}, {u"boot.efi", u"*.e"}, {u"boot.efi", u"b??t*"},
    {u"abcabc", u"*abc"}, {u"abcabd", u"*abc"}, {u"abcabc", u"a*b*c"}, {u"fs0", u"fs[0-9]"}, {u"fsx", u"fs[0-9]"}, {u"FSB", u"fs[a-c]"},
    {u"fsd", u"fs[a-c]"}, {u"fs-", u"fs[-]"}, {u"fs5", u"fs[-9]"}, {u"fs-", u"fs[a-]"}, {u"fs-", u"fs[a-c-e]"}, {u"fsd", u"fs[a-c-e]"}, {u"fs5", u"fs[13579]"}, {u"fs4", u"fs[13579]"}, {u"x", u"[]"},
    {u"ab", u"[a]b"}, {u"[", u"[[]"}, {u"\u00e9", u"\u00c9"}, {u"abc", u"**"}, {u"abc", u"*?"}, {u"", u"*?"}, {u"c", u"[a-]"}, {u"b", u"[a-cx]"},
    {u"x", u"[a-cx]"}, {u"y", u"[a-cx]"}, {u"a*", u"a\\*"}};
  for (uint64_t i = 0; i < sizeof patterns / sizeof *patterns; i++) show("collation-match", english->MetaiMatch(english, P(patterns[i][0]), P(patterns[i][1])) & 0xff);
  static uint16_t text[] = u"aZ\u0100 9", latin[] = u"\u00e9\u00c9\u00f7\u00d7", wide[16];
  english->StrLwr(english, text);
  show("collation-lower", hash(text, sizeof text));
  english->StrUpr(english, text);
  show("collation-upper", hash(text, sizeof text));
  english->StrLwr(english, latin);
  show("collation-lower-latin", latin[1]);
  for (int i = 0; i < 16; i++) wide[i] = 0x7777;
  english->FatToStr(english, 8, P("READ~ME TXT"), wide);
  show("collation-from-fat", hash(wide, sizeof wide));
  english->FatToStr(english, 8, P("AB\0CD"), wide);
  show("collation-from-fat-short", hash(wide, sizeof wide));
  english->FatToStr(english, 1, P("\xe9"), wide);
  show("collation-from-fat-latin", wide[0]);
  static const uint16_t names[][16] = {u"readme.txt", u"a b.c", u"a+b", u"toolongname", u"\u00e9t\u00e9", u"\u0151", u"", u"A,;=[]"};
  for (uint64_t i = 0; i < sizeof names / sizeof *names; i++) {
    uint8_t fat[12] = "............";
    show("collation-to-fat", english->StrToFat(english, P(names[i]), 8, P(fat)) & 0xff);
    show("collation-fat", hash(fat, sizeof fat));
  }
}

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  self = image;
  take_services(table);
  show("begin", 0);
  memory();
  events();
  protocols();
  images();
  variables();
  console();
  disk();
  loaders();
  collation();
  pc();
  show("exit-boot-services-stale", bs->ExitBootServices(image, 0x123456789));
  show("end", 0);
  return 0;
}
