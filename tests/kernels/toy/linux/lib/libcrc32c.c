#include <linux/module.h>

/* The checksum of Castagnoli, a bit at a time. */
unsigned int crc32c(unsigned int crc, const u8 *data, unsigned int length)
{
	int bit;

	while (length--) {
		crc ^= *data++;
		for (bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78 : 0);
	}
	return crc;
}
EXPORT_SYMBOL(crc32c);

MODULE_LICENSE("GPL");
