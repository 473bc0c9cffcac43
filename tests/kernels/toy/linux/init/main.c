#include <linux/utsrelease.h>

const char linux_banner[] __attribute__((used)) = "Linux version " UTS_RELEASE " (toy)";

void startup_64(void);
void startup_64(void)
{
	for (;;)
		__asm__ volatile("hlt");
}
