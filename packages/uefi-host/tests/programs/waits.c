/* Waits for a key as loaders do: it counts down from 90 seconds and prints how it ended. LoadOptions choose how it waits:
   'R' ReadKeyStroke and Stall, 'E' ReadKeyStrokeEx alone by the clock of GetTime, 'W' WaitForEvent with a timer, 'C' CheckEvent
   and a periodic timer's notification. */
#include <efi.h>

static EFI_SYSTEM_TABLE *st;
static EFI_BOOT_SERVICES *bs;
static EFI_RUNTIME_SERVICES *rs;
static volatile uint64_t seconds;

#define P(x) ((void *)(x))
#define COUNT 90
static const uint8_t loaded_image[16] = EFI_LOADED_IMAGE_PROTOCOL_GUID;
static const uint8_t input_ex[16] = EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL_GUID;

static void print(const char *text) {
  uint16_t line[64];
  uint64_t at = 0;
  for (; *text; text++) line[at++] = (uint8_t)*text;
  line[at] = 0;
  EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *out = st->ConOut;
  out->OutputString(out, line);
}

static void EFIAPI tick(void *event, void *context) {
  (void)event;
  (void)context;
  seconds++;
}

/* Seconds of the day: the countdown is not started before midnight in the tests. */
static uint64_t now(void) {
  uint8_t time[16];
  rs->GetTime(time, 0);
  return time[4] * 3600 + time[5] * 60 + time[6];
}

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  st = table;
  bs = table->BootServices;
  rs = table->RuntimeServices;
  EFI_LOADED_IMAGE_PROTOCOL *me = 0;
  EFI_SIMPLE_TEXT_INPUT_PROTOCOL *in = st->ConIn;
  EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL *ex = 0;
  bs->HandleProtocol(image, P(loaded_image), P(&me));
  uint64_t status = bs->OpenProtocol(st->ConsoleInHandle, P(input_ex), P(&ex), image, 0, 2);
  if (status) return status;
  bs->SetWatchdogTimer(0, 0, 0, 0);
  print("waiting\r\n");
  uint64_t begun = now(), index = 9;
  uint8_t data[16];
  void *event = 0, *events[2];
  status = 0x8000000000000006ull;
  switch (*(uint16_t *)me->LoadOptions) {
  case 'R':
    for (uint64_t i = 0; i < COUNT * 100 && status; i++) {
      status = in->ReadKeyStroke(in, P(data));
      if (status) bs->Stall(10000);
    }
    break;
  case 'E':
    while (status && now() - begun < COUNT) status = ex->ReadKeyStrokeEx(ex, P(data));
    break;
  case 'W':
    bs->CreateEvent(0x80000000, 8, 0, 0, P(&event));
    bs->SetTimer(event, 2, COUNT * 10000000ull);
    events[0] = in->WaitForKey;
    events[1] = event;
    bs->WaitForEvent(2, P(events), P(&index));
    status = index == 0 ? in->ReadKeyStroke(in, P(data)) : status;
    bs->CloseEvent(event);
    break;
  case 'C':
    bs->CreateEvent(0x80000200, 8, P(tick), 0, P(&event));
    bs->SetTimer(event, 1, 10000000);
    while (status && seconds < COUNT)
      if (!bs->CheckEvent(ex->WaitForKeyEx)) status = ex->ReadKeyStrokeEx(ex, P(data));
    bs->CloseEvent(event);
    break;
  }
  uint64_t passed = now() - begun;
  print(status ? "no key\r\n" : "a key\r\n");
  if (status && (passed < COUNT - 1 || passed > COUNT + 1)) return 0x8000000000000007ull;
  return status;
}
